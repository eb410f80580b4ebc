"""P-DARTS: the supernet becomes deeper from stage to stage, while the number of candidate operations falls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field, NonNegativeInt
from torch import Tensor

from adarts.config.settings import SearchConfig, Settings
from adarts.methods.base import Method, MethodInfo, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Phase, Progress
from adarts.methods.stages import skip_dropout, strongest
from adarts.spaces import Genotype, Space, derive
from adarts.supernet import Supernet

_DEPTHS = (5, 11, 17)
_BLOCKS = 3  # blocks of cells in a space with residual reductions
_OPERATIONS = (8, 5, 3)
_PUBLISHED_EPOCHS = 15  # per stage, after its warm-up
_SKIP = "skip_connect"


@register
class PDarts(Method):
    """Three stages of `search.epochs` each, with a new supernet and new alphas::

        stage   cells   operations per edge     p0
        1       5       8 -> 5                  0.0
        2       11      5 -> 3                  0.4
        3       17      3 -> 1                  0.7

    At the end of a stage, every edge drops the operations with the lowest softmax(alpha), possibly `none`. In the space of
    DARTS, the last stage never keeps `none`. `supernet.cells` is the depth of the first stage, and the others grow in
    proportion. In a space with residual reduction blocks (NAS-Bench-201), it is the depth of the last stage: at scale `paper`
    the stages have 3, 9 and 15 cells.

    So that skip connections are not chosen too often, dropout is applied to their elements on edges of stride 1. With E epochs
    per stage and a warm-up of W, its rate is::

        p = p0 (E - 1 - epoch) / E   in the warm-up,   p = p0 exp(-0.2 t)   after it,   t = 15 (epoch - W) / (E - W)

    The normal cell keeps at most two skip connections: while it has more, the weight of its weakest one is set to 0, and the
    cell is derived again. `unrestricted_skips` in the record of an epoch is their number without this limit.
    """

    info = MethodInfo(
        name="p-darts",
        title="P-DARTS",
        year=2019,
        paper="Chen et al.: Progressive Differentiable Architecture Search, ICCV 2019",
        changes="three stages of growing depth and fewer operations; dropout on skip connections, at most two in the cell",
        cost="three searches: 5, 11 and 17 cells with 8, 5 and 3 operations per edge",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 5},
            "search": {"epochs": 25, "batch_size": 96, "warmup_epochs": 10},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 6e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": 5.0},
        },
    )

    class Options(Settings):
        dropout1: float = Field(default=0.0, ge=0, lt=1)
        """Initial dropout on skip connections (p0) in the first stage."""
        dropout2: float = Field(default=0.4, ge=0, lt=1)
        """Initial dropout in the second stage."""
        dropout3: float = Field(default=0.7, ge=0, lt=1)
        """Initial dropout in the third stage."""
        max_skips: NonNegativeInt = 2
        """Largest number of skip connections in the normal cell (M in the paper)."""

    options: Options

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        (stage,) = super().phases(config, space)
        stages = [{"cells": cells} for cells in depths(config.supernet.cells, space)]
        return tuple(replace(stage, supernet=config.supernet.model_copy(update=update)) for update in stages)

    def on_phase_start(self, search: Search) -> None:
        """Keep the strongest operations of the previous stage."""
        if before := search.previous:
            for kind, weights_eo in self.operation_weights(before).items():
                kept = strongest(weights_eo, before.active[kind], _OPERATIONS[search.progress.phase])
                search.supernet.set_active(kind, kept)

    def skip_dropout(self, progress: Progress) -> float:
        initial = (self.options.dropout1, self.options.dropout2, self.options.dropout3)
        return skip_dropout(initial[progress.phase], progress, _PUBLISHED_EPOCHS)

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Record the dropout rate, and the number of skip connections without the limit."""
        net = search.supernet
        skips = super().derive(net).num_operations(net.space.cell_kinds[0], _SKIP)
        return {"skip_dropout": self.skip_dropout(search.progress), "unrestricted_skips": skips}

    def derive(self, supernet: Supernet) -> Genotype:
        """Derive cells by the rule of DARTS, with a limit on the skip connections of the normal cell."""
        weights, edges = self.operation_weights(supernet), self.edge_weights(supernet)
        return derive_with_few_skips(supernet.space, weights, edges, self.options.max_skips)

    def chosen_by(self) -> None:
        """The weights, but for skip connections beyond the bound: where one is replaced, that choice is not settled."""


def depths(cells: int, space: Space) -> list[int]:
    """Number of cells of each stage. `cells` is the first stage's; with residual reductions, it is the last stage's."""
    if space.reduction_kind is not None:
        return [round(cells * depth / _DEPTHS[0]) for depth in _DEPTHS]
    shares = [cells * depth / _DEPTHS[-1] for depth in _DEPTHS[:-1]]
    return [*(_BLOCKS * max(1, round(share / _BLOCKS)) for share in shares), cells]


def derive_with_few_skips(
    space: Space, op_weights: Mapping[str, Tensor], edge_weights: Mapping[str, Tensor] | None, most: int
) -> Genotype:
    """Derive a genotype with at most `most` skip connections in the normal cell."""
    kind = space.cell_kinds[0]
    weights_eo = op_weights[kind].detach().clone()
    op_weights = {**op_weights, kind: weights_eo}
    genotype = derive(space, op_weights, edge_weights)
    for _ in space.edges:  # each round removes one skip connection
        found = genotype.by_edge(kind).items()
        skips = [space.edges.index(edge) for edge, operation in found if operation == _SKIP]
        if len(skips) <= most:
            break
        of_skips_e = weights_eo[:, space.operations.index(_SKIP)]
        of_skips_e[min(skips, key=of_skips_e.tolist().__getitem__)] = 0.0
        genotype = derive(space, op_weights, edge_weights)
    return genotype
