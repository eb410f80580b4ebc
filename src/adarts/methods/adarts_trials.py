"""ADARTS with trials: the search says which convolution, and short trainings say where an operation without weights belongs.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig, Settings
from adarts.methods.adarts import NeverNone
from adarts.methods.base import MethodInfo, Phase, Search, Sums
from adarts.methods.registry import register
from adarts.methods.stages import leave_out_none
from adarts.space import Genotype, Space, derive, never_none
from adarts.space.genotype import CellGenotype
from adarts.supernet import Supernet

_WHOLE = EdgeDesign(selector="all", k=1, attention=False)
_CERTAIN = 1e6  # a weight that keeps its edge, whatever the others weigh


@register
class AdartsTrials(NeverNone):
    """ADARTS, which is believed about the convolutions; where an operation without weights belongs is tried.

    The supernet cannot know what a skip connection is worth where it is the only one: three quarters of the channels bypass the
    operations of every edge, and each mixture has one more identity in it. So its logits prefer the operations without weights
    almost everywhere, and what they say of the convolutions beside them is lost in the cell. Here the normal cell has one
    operation without weights at most, as P-DARTS bounds the skip connections, and the bound is kept by trials:

    * The search of ADARTS, without `none`. Every edge is left with its strongest convolution.
    * The cell of these alone is trained, and for every edge the cell that has the strongest operation without weights there
      in the place of the convolution: `options.epochs` epochs from fresh weights, as a network of `options.cells` cells
      without attention or bypass, on the half of the images for the weights.
    * The cell with the lowest mean training loss in the last epoch of its trial is the one found (training speed estimation,
      TSE-E; Ru et al., NeurIPS 2021). Where few images come twice in so short a time, that is a loss on images that are new.

    The reduction cell, where a space has one, is that of the search. An edge on which the space allows only one sort of operation
    has no trial. Before the first trial has ended, the cell that is named is ADARTS's own, and then that without operations
    that have no weights.

    It is not of the paper but of this project, made where the true accuracy of every cell is known (docs/truth.md).
    """

    info = MethodInfo(
        name="adarts-trials",
        title="ADARTS with trials",
        year=2026,
        paper="of this project: docs/truth.md",
        changes="as adarts; at most one operation without weights in the normal cell, where short trainings say",
        cost="as adarts, and a short training for every edge of a cell",
    )

    class Options(Settings):
        """Of the trials."""

        cells: int = Field(default=15, ge=3)
        """Cells of the network of a trial; those of the supernet where it has more."""
        epochs: PositiveInt = 2
        """Epochs of a trial."""

    options: Options
    #: the cells that are tried, once they are known
    candidates: list[Genotype]
    #: the losses of the trials that have ended, in their order
    losses: list[float]
    #: sums over the images of the epoch of a trial
    _loss: Tensor | float
    _images: Tensor | float

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """The search, then the trials."""
        (search,) = super().phases(config, space)
        deep = config.supernet.model_copy(update={"cells": max(self.options.cells, config.supernet.cells)})
        trial = Phase(self.options.epochs, 0, deep, _WHOLE, num_operations=1)
        return (search, *[trial] * (1 + len(_tried(space))))

    def begin(self, search: Search) -> None:
        """Leave `none` out; later let the cell of the trial alone be computed."""
        net, trial = search.supernet, search.moment.phase - 1
        if trial < 0:
            leave_out_none(net)
            self.candidates, self.losses = [], []
        elif trial == 0:
            assert search.previous is not None
            self.candidates = candidates(
                search.previous, self.operation_weights(search.previous), self.edge_weights(search.previous)
            )
        if trial >= 0:
            for kind, cell in self.candidates[trial].cells.items():
                net.set_active(kind, _only(cell, net.space))
        self._restart()

    def update(self, search: Search) -> Sums:
        """One step of the search; in a trial, of the weights alone."""
        if search.moment.phase == 0:
            return super().update(search)
        sums = search.update_weights()
        self._loss, self._images = self._loss + sums["loss"], self._images + sums["images"]
        return sums

    def end_epoch(self, search: Search) -> dict[str, Any]:
        """Remember the loss of a trial that has ended."""
        if search.moment.phase == 0:
            return {}
        trial = search.moment.phase - 1
        loss = float(self._loss / self._images)
        if search.moment.is_last:
            self.losses.append(loss)
        self._restart()
        return {"trial": trial, "tried": self.candidates[trial].to_dict()["cells"], "loss": loss}

    def derive(self, supernet: Supernet) -> Genotype:
        """The best cell of the trials so far."""
        if self.losses:
            return self.candidates[self.losses.index(min(self.losses))]
        return self.candidates[0] if self.candidates else super().derive(supernet)

    def state_dict(self) -> dict[str, Any]:
        """The cells that are tried, and what the trials gave so far."""
        return {
            "candidates": [genotype.to_dict() for genotype in self.candidates],
            "losses": list(self.losses),
            "loss": self._loss,
            "images": self._images,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the trials."""
        self.candidates = [Genotype.from_dict(document) for document in state["candidates"]]
        self.losses = list(state["losses"])
        self._loss, self._images = state["loss"], state["images"]

    def _restart(self) -> None:
        """Begin to sum up the losses of an epoch."""
        self._loss = self._images = 0.0


def candidates(
    supernet: Supernet, op_weights: Mapping[str, Tensor], edge_weights: Mapping[str, Tensor] | None
) -> list[Genotype]:
    """The cell without operations that have no weights, and for every edge that is tried the cell that has one there.

    Args:
        supernet: that was searched.
        op_weights: kind -> operation weights (edges, operations), after the softmax.
        edge_weights: kind -> edge weights (edges,), or none.
    """
    space = supernet.space
    kind, tried = space.cell_kinds[0], _tried(space)
    free_o = torch.tensor([name in space.weight_free for name in space.operations])
    weights_eo = op_weights[kind].detach().cpu().clone()
    without_eo = weights_eo.clone()
    without_eo[tried] = without_eo[tried].masked_fill(free_o, 0.0)

    def named(kind_eo: Tensor) -> Genotype:
        return derive(space, {**op_weights, kind: kind_eo}, edge_weights, rule=never_none)

    found = [named(without_eo)]
    for edge in tried:
        with_eo = without_eo.clone()
        with_eo[edge] = 0.0
        with_eo[edge, weights_eo[edge].masked_fill(~free_o, -1.0).argmax()] = _CERTAIN
        found.append(named(with_eo))
    return found


def _tried(space: Space) -> list[int]:
    """The edges of the normal cell that may have operations of both sorts, with weights and without."""

    def sorts(row: Sequence[bool]) -> set[bool]:
        names = (name for name, is_allowed in zip(space.operations, row, strict=True) if is_allowed and name != "none")
        return {name in space.weight_free for name in names}

    return [edge for edge, row in enumerate(space.allowed(space.cell_kinds[0])) if len(sorts(row)) > 1]


def _only(cell: CellGenotype, space: Space) -> list[list[bool]]:
    """For every edge which of the operations is active where a cell's own are alone."""
    kept = {
        (source, target): name
        for target, pairs in zip(space.targets, cell.nodes, strict=True)
        for name, source in pairs
    }
    return [[kept.get(edge) == name for name in space.operations] for edge in space.edges]
