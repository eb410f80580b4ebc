"""ADARTS with trials: the search chooses the convolutions, and short trainings place one skip connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, PositiveInt
from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig, Settings
from adarts.engine.update import Sums
from adarts.methods.adarts import Adarts
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Phase, Progress
from adarts.methods.stages import leave_out_none
from adarts.spaces import Genotype, Space, derive, never_none
from adarts.supernet import Supernet

_WHOLE = EdgeDesign(selector="all", k=1, attention=False)
_SKIP = "skip_connect"
_CERTAIN = 1e6  # a weight larger than all others, so that the edge is kept


@register
class AdartsTrials(Method):
    """ADARTS chooses the convolutions; short trainings decide where the normal cell gets a skip connection, if at all.

    The bypass of a partial connection acts like a skip connection. We think that the supernet therefore cannot judge the
    value of a real one. The normal cell gets at most one skip connection and no pooling:

    * Search with ADARTS, without `none`; the normal cell may use only operations with weights.
    * Train the derived cell, and for every edge the same cell with a skip connection on that edge. Each trial takes
      `options.epochs` epochs from new weights, in a network of `options.cells` cells without attention or bypass, on the half
      of the images for the weights.
    * Keep the cell with the lowest mean training loss in the last epoch of its trial (training speed estimation, TSE-E; Ru et
      al., NeurIPS 2021). If `search.steps` is so small that no image repeats within this epoch, it is a loss on new images.

    The reduction cell, if the space has one, comes from the search. If nodes keep only their strongest edges, the edge of the
    skip connection is always kept, which may remove another one. Before the end of the first trial, the cell of the search is
    returned. This method is not in the paper. It was developed in this project on NAS-Bench-201 (docs/truth.md).
    """

    info = MethodInfo(
        name="adarts-trials",
        title="ADARTS with trials",
        year=2026,
        paper="this project: docs/truth.md",
        changes="adarts chooses the convolutions; short trainings place at most one skip connection in the normal cell",
        cost="as adarts, plus a short training for every edge of a cell",
        defaults=Adarts.info.defaults,
        spaces=Adarts.info.spaces,
        replay="run",
    )

    class Options(Settings):
        cells: int = Field(default=15, ge=3)
        """Cells of the network in a trial; the supernet's number if that is larger."""
        epochs: PositiveInt = 2
        """Epochs of a trial."""

    options: Options
    rule = staticmethod(never_none)
    #: the cells to try; empty until the search has finished
    candidates: list[Genotype]
    #: the losses of the finished trials, in order
    losses: list[float]
    #: sum of the losses and number of images in the current epoch of a trial
    _sums: list[Tensor | float]

    @classmethod
    def supports(cls, space: Space) -> str | None:
        for row in space.allowed(space.cell_kinds[0]):
            names = {name for name, is_allowed in zip(space.operations, row, strict=True) if is_allowed}
            if _SKIP not in names or len(names - space.weight_free) < 2:
                return "an edge of its normal cell has no skip connection, or fewer than two operations with weights"
        return None

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """The search, then the trials."""
        deep = config.supernet.model_copy(update={"cells": max(self.options.cells, config.supernet.cells)})
        trial = Phase(self.options.epochs, 0, deep, _WHOLE)
        return (*super().phases(config, space), *[trial] * (1 + len(space.edges)))

    def on_phase_start(self, search: Search) -> None:
        """In the search, switch off `none` and weight-free operations; in a trial, keep only the cell's operations."""
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
                net.set_active(kind, self.candidates[trial].mask(kind))
        self._sums = [0.0, 0.0]

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return ("weights",) if progress.phase else ("alphas", "weights")

    def observe(self, search: Search, sums: Sums) -> None:
        if search.progress.phase:
            self._sums = [self._sums[0] + sums["loss"], self._sums[1] + sums["images"]]

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Store the loss of a finished trial."""
        if search.progress.phase == 0:
            return {}
        trial, loss = search.progress.phase - 1, float(self._sums[0] / self._sums[1])
        if search.progress.is_last:
            self.losses.append(loss)
        self._sums = [0.0, 0.0]
        return {"trial": trial, "tried": self.candidates[trial].to_dict()["cells"], "loss": loss}

    def derive(self, supernet: Supernet) -> Genotype:
        """The best cell of the finished trials; before them, the cell of the search."""
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
    """The derived cells, and for every edge the same cells with a skip connection on it."""
    kind = space.cell_kinds[0]
    found = [derive(space, op_weights, edge_weights, rule=never_none)]
    for edge in range(len(space.edges)):
        weights_eo = op_weights[kind].detach().clone()
        weights_eo[edge, space.operations.index(_SKIP)] = _CERTAIN
        found.append(derive(space, {**op_weights, kind: weights_eo}, edge_weights, rule=never_none))
    return found
