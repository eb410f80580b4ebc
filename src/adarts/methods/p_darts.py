"""P-DARTS: the search network grows as deep as the network it stands for, while the candidates become fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field, NonNegativeInt
from torch import Tensor

from adarts.config.settings import SearchConfig, Settings
from adarts.methods.base import Method, MethodInfo, Phase, Progress, Search
from adarts.methods.registry import register
from adarts.methods.stages import skip_dropout, strongest
from adarts.spaces import Genotype, Space, derive
from adarts.supernet import Supernet

_DEPTHS = (5, 11, 17)
_BLOCKS = 3  # of cells between two residual reductions, where a space has these
_OPERATIONS = (8, 5, 3)
_PUBLISHED_EPOCHS = 15  # of a stage, behind its warm-up
_SKIP = "skip_connect"


@register
class PDarts(Method):
    """Three stages, each with a fresh supernet and fresh alphas; `search.epochs` are those of one stage::

        stage   cells   operations of an edge   p0
        1       5       8 -> 5                  0.0
        2       11      5 -> 3                  0.4
        3       17      3 -> 1                  0.7

    At the end of a stage, every edge drops the operations with the lowest softmax(alpha). `none` may be among them, and at the
    last it is the first to go. `supernet.cells` is the depth of the first stage; the others grow in proportion. Where residual
    blocks halve the image (NAS-Bench-201) it is that of the last: at scale `paper` the stages have 3, 9 and 15 cells.

    In training the elements of a skip connection are dropped (on edges of stride 1), so that it is not chosen too often, with a
    probability that begins at p0, E being the epochs of a stage and W its warm-up::

        p = p0 (E - 1 - epoch) / E   in the warm-up,   p = p0 exp(-0.2 t)   behind it,   t = 15 (epoch - W) / (E - W)

    In the end, the normal cell keeps at most two skip connections: while it has more, the weight of its weakest one is set to 0,
    and the cell is derived anew. `unrestricted_skips` in the record of an epoch says how many there would be otherwise.
    """

    info = MethodInfo(
        name="p-darts",
        title="P-DARTS",
        year=2019,
        paper="Chen et al.: Progressive Differentiable Architecture Search, ICCV 2019",
        changes="three stages of growing depth and fewer operations; dropout on skip connections, at most two in the cell",
        cost="three searches: 5, 11 and 17 cells with 8, 5 and 3 operations an edge",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False},
            "supernet": {"cells": 5},
            "search": {"epochs": 25, "batch_size": 96, "warmup_epochs": 10},
            "alphas": {"clip": 5.0},
        },
    )

    class Options(Settings):
        dropout1: float = Field(default=0.0, ge=0, lt=1)
        """Initial dropout on skip connections (p0) in the first stage."""
        dropout2: float = Field(default=0.4, ge=0, lt=1)
        """The same in the second stage."""
        dropout3: float = Field(default=0.7, ge=0, lt=1)
        """The same in the third stage."""
        max_skips: NonNegativeInt = 2
        """Most skip connections of the normal cell (M in the paper)."""

    options: Options

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        (stage,) = super().phases(config, space)
        stages = [{"cells": cells} for cells in depths(config.supernet.cells, space)]
        return tuple(replace(stage, supernet=config.supernet.model_copy(update=update)) for update in stages)

    def on_phase_start(self, search: Search) -> None:
        """Keep the strongest operations of the stage before."""
        if before := search.previous:
            for kind, weights_eo in self.operation_weights(before).items():
                kept = strongest(weights_eo, before.active[kind], _OPERATIONS[search.progress.phase])
                search.supernet.set_active(kind, kept)

    def skip_dropout(self, progress: Progress) -> float:
        initial = (self.options.dropout1, self.options.dropout2, self.options.dropout3)
        return skip_dropout(initial[progress.phase], progress, _PUBLISHED_EPOCHS)

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Say how strong the dropout was, and what the restriction hides."""
        net = search.supernet
        skips = super().derive(net).num_operations(net.space.cell_kinds[0], _SKIP)
        return {"skip_dropout": self.skip_dropout(search.progress), "unrestricted_skips": skips}

    def derive(self, supernet: Supernet) -> Genotype:
        """The rule of DARTS, with a bound on the skip connections of the normal cell."""
        weights, edges = self.operation_weights(supernet), self.edge_weights(supernet)
        return derive_with_few_skips(supernet.space, weights, edges, self.options.max_skips)

    def chosen_by(self) -> None:
        """The weights, but for skip connections beyond the bound: where one is replaced, that choice is not settled."""


def depths(cells: int, space: Space) -> list[int]:
    """The cells of each stage from those of the first one, or in a space with residual blocks from those of the last one."""
    if space.reduction_kind is not None:
        return [round(cells * depth / _DEPTHS[0]) for depth in _DEPTHS]
    shares = [cells * depth / _DEPTHS[-1] for depth in _DEPTHS[:-1]]
    return [*(_BLOCKS * max(1, round(share / _BLOCKS)) for share in shares), cells]


def derive_with_few_skips(
    space: Space, op_weights: Mapping[str, Tensor], edge_weights: Mapping[str, Tensor] | None, most: int
) -> Genotype:
    """The genotype that the weights of a search name, with so many skip connections of the normal cell at most."""
    kind = space.cell_kinds[0]
    weights_eo = op_weights[kind].detach().clone()
    op_weights = {**op_weights, kind: weights_eo}
    genotype = derive(space, op_weights, edge_weights)
    for _ in space.edges:  # each round takes the skip connection from another edge
        found = genotype.by_edge(kind).items()
        skips = [space.edges.index(edge) for edge, operation in found if operation == _SKIP]
        if len(skips) <= most:
            break
        of_skips_e = weights_eo[:, space.operations.index(_SKIP)]
        of_skips_e[min(skips, key=of_skips_e.tolist().__getitem__)] = 0.0
        genotype = derive(space, op_weights, edge_weights)
    return genotype
