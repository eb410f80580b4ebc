"""ADARTS with trials: the search says which convolution, and short trainings say where a skip connection belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, PositiveInt
from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig, Settings
from adarts.engine.update import Sums
from adarts.methods.base import Method, MethodInfo, Phase, Progress, Purpose, Search
from adarts.methods.registry import register
from adarts.methods.stages import leave_out_none
from adarts.spaces import Genotype, Space, derive, never_none
from adarts.supernet import Supernet

_WHOLE = EdgeDesign(selector="all", k=1, attention=False)
_SKIP = "skip_connect"
_CERTAIN = 1e6  # a weight that keeps its edge, whatever the others weigh


@register
class AdartsTrials(Method):
    """ADARTS, which is believed about the convolutions alone; where a skip connection belongs is tried.

    As we suppose, the supernet cannot know what a skip connection is worth, since the bypass of a partial connection is one, too.
    Here the normal cell has one at most, and no pool:

    * The search of ADARTS, without `none`, and in the normal cell with the operations that have weights alone.
    * The cell that it names is trained, and for every edge the cell that has a skip connection there: `options.epochs` epochs
      from fresh weights, as a network of `options.cells` cells without attention or bypass, on the half of the images for the
      weights.
    * The cell with the lowest mean training loss in the last epoch of its trial is the one found (training speed estimation,
      TSE-E; Ru et al., NeurIPS 2021). Where `search.steps` lets no image come twice in it, that is a loss on new images.

    The reduction cell, where a space has one, is that of the search. Where a node keeps the strongest edges alone, the skip
    connection keeps its own, and another edge may go. Until the first trial has ended, the cell of the search is the one named.
    It is not of the paper but of this project, made where the true accuracy of every cell is known (docs/truth.md).
    """

    info = MethodInfo(
        name="adarts-trials",
        title="ADARTS with trials",
        year=2026,
        paper="of this project: docs/truth.md",
        changes="adarts chooses the convolutions; short trainings say which edge of the normal cell has the one skip connection",
        cost="as adarts, and a short training for every edge of a cell",
        replay="run",
    )

    class Options(Settings):
        cells: int = Field(default=15, ge=3)
        """Cells of the network of a trial; those of the supernet where it has more."""
        epochs: PositiveInt = 2
        """Epochs of a trial."""

    options: Options
    rule = staticmethod(never_none)
    #: the cells that are tried, once they are known
    candidates: list[Genotype]
    #: the losses of the trials that have ended, in their order
    losses: list[float]
    #: loss and number of the images of the epoch of a trial
    _sums: list[Tensor | float]

    @classmethod
    def supports(cls, space: Space) -> str | None:
        for row in space.allowed(space.cell_kinds[0]):
            names = {name for name, is_allowed in zip(space.operations, row, strict=True) if is_allowed}
            if _SKIP not in names or len(names - space.weight_free) < 2:
                return "an edge of its normal cell has no skip connection, or no two operations with weights to choose from"
        return None

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """The search, then the trials."""
        deep = config.supernet.model_copy(update={"cells": max(self.options.cells, config.supernet.cells)})
        trial = Phase(self.options.epochs, 0, deep, _WHOLE)
        return (*super().phases(config, space), *[trial] * (1 + len(space.edges)))

    def on_phase_start(self, search: Search) -> None:
        """Leave out what the search does not choose; later let the cell of the trial alone be computed."""
        net, before, trial = search.supernet, search.previous, search.progress.phase - 1
        space = net.space
        if before is None:
            leave_out_none(net)
            with_weights = [name not in space.weight_free for name in space.operations]
            net.set_active(space.cell_kinds[0], [with_weights] * len(space.edges))
            self.candidates, self.losses = [], []
        elif trial == 0:
            self.candidates = candidates(space, self.operation_weights(before), self.edge_weights(before))
        if trial >= 0:
            for kind in space.cell_kinds:
                kept = self.candidates[trial].by_edge(kind)
                net.set_active(kind, [[kept.get(edge) == name for name in space.operations] for edge in space.edges])
        self._sums = [0.0, 0.0]

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return ("weights",) if progress.phase else ("alphas", "weights")

    def observe(self, search: Search, sums: Sums) -> None:
        if search.progress.phase:
            self._sums = [self._sums[0] + sums["loss"], self._sums[1] + sums["images"]]

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Remember the loss of a trial that has ended."""
        if search.progress.phase == 0:
            return {}
        trial, loss = search.progress.phase - 1, float(self._sums[0] / self._sums[1])
        if search.progress.is_last:
            self.losses.append(loss)
        self._sums = [0.0, 0.0]
        return {"trial": trial, "tried": self.candidates[trial].to_dict()["cells"], "loss": loss}

    def derive(self, supernet: Supernet) -> Genotype:
        """The best cell of the trials so far."""
        if self.losses:
            return self.candidates[self.losses.index(min(self.losses))]
        return self.candidates[0] if self.candidates else super().derive(supernet)

    def chosen_by(self) -> str:
        return "the losses of the trials"

    def state_dict(self) -> dict[str, Any]:
        tried = [genotype.to_dict() for genotype in self.candidates]
        return {"candidates": tried, "losses": list(self.losses), "sums": list(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.candidates = [Genotype.from_dict(document) for document in state["candidates"]]
        self.losses, self._sums = list(state["losses"]), list(state["sums"])


def candidates(
    space: Space, op_weights: Mapping[str, Tensor], edge_weights: Mapping[str, Tensor] | None
) -> list[Genotype]:
    """The cells that weights name, and for every edge the same with a skip connection there."""
    kind = space.cell_kinds[0]
    found = [derive(space, op_weights, edge_weights, rule=never_none)]
    for edge in range(len(space.edges)):
        weights_eo = op_weights[kind].detach().clone()
        weights_eo[edge, space.operations.index(_SKIP)] = _CERTAIN
        found.append(derive(space, {**op_weights, kind: weights_eo}, edge_weights, rule=never_none))
    return found
