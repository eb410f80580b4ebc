"""A cell of the supernet: preprocessing of its inputs, then its nodes, each the sum of the mixed edges that enter it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adarts.config.settings import EdgeDesign
from adarts.errors import ConfigError
from adarts.models import FactorizedReduce, ReLUConvBN
from adarts.spaces import Space
from adarts.supernet.edges import Addend, SourceEdges, factors_of_operations, node_sum
from adarts.supernet.plan import CellPlan


def require_k(channels: int, design: EdgeDesign) -> None:
    """Check that k divides the channels of a cell; later cells have multiples of them.

    Raises:
        ConfigError: k does not divide the channels.
    """
    if channels % design.k:
        raise ConfigError(f"edge.k = {design.k} does not divide the {channels} channels of a cell; choose a divisor")


class SearchCell(nn.Module):
    """One cell.

    Args:
        space: the search space.
        channels_in: output channels of the second-last and the last cell before this one.
        channels: channels C of this cell.
        kind: kind of the cell; determines the strides.
        after_reduction: whether the previous cell was a reduction cell, so that the older input is twice as large.
        design: design of the mixed edges.
    """

    def __init__(
        self,
        space: Space,
        channels_in: tuple[int, int],
        channels: int,
        kind: str,
        after_reduction: bool,
        design: EdgeDesign,
    ) -> None:
        super().__init__()
        self.space = space
        require_k(channels, design)
        self.selected = channels // design.k
        self.shuffle_groups = design.k if design.shuffles else 1
        before = FactorizedReduce if after_reduction else ReLUConvBN
        if space.preprocessed:
            self.preprocess0 = before(channels_in[0], channels, affine=False)
            self.preprocess1 = ReLUConvBN(channels_in[1], channels, affine=False)
        #: for each source node, the indices of the edges that leave it
        self.rows = space.leaving
        #: all edges in this order; a buffer, because a copy to the device in every pass would wait and cannot be captured
        self.order: Tensor
        self.register_buffer("order", torch.tensor([row for rows in self.rows for row in rows]), persistent=False)
        allowed = space.allowed(kind)
        self.sources = nn.ModuleList(
            SourceEdges(channels, [allowed[row] for row in rows], space.stride(kind, source), space, design)
            for source, rows in enumerate(self.rows)
        )

    def forward(
        self,
        s0_bchw: Tensor,
        s1_bchw: Tensor,
        weight_eo: Tensor,
        beta_e: Tensor | None,
        given: Tensor | None,
        plan: CellPlan,
    ) -> tuple[Tensor, Tensor]:
        """Compute the output of the cell, and the selected channels of all its edges.

        Args:
            s0_bchw: output of the second-last cell before this one.
            s1_bchw: output of the last cell before this one.
            weight_eo: operation weights.
            beta_e: edge weights, or None.
            given: the selected channels (1 or B, edges, C/k); None selects them here.
            plan: the other arguments of the pass.

        Returns:
            The concatenated output nodes (B, outputs·C, H', W'), and the selected channels (1 or B, edges, C/k).
        """
        space, edges = self.space, self.space.edges
        nodes = [s0_bchw, s1_bchw][-space.num_inputs :]
        if space.preprocessed:
            nodes = [self.preprocess0(s0_bchw), self.preprocess1(s1_bchw)]
        entering: dict[int, list[Addend]] = {target: [] for target in space.targets}
        chosen: dict[int, Tensor] = {}
        counters: list[Tensor] = []
        counts = [len(rows) for rows in self.rows]
        beta_e = None if beta_e is None else beta_e.index_select(0, self.order)
        gain_on = factors_of_operations(weight_eo.index_select(0, self.order), beta_e, self.selected)
        gains = gain_on.split([count * self.selected for count in counts], 1)
        betas = [None] * len(counts) if beta_e is None else beta_e.split(counts)
        selections = [None] * len(counts) if given is None else given.index_select(1, self.order).split(counts, 1)
        for source, (rows, leaving) in enumerate(zip(self.rows, self.sources, strict=True)):
            if source >= space.num_inputs:
                nodes.append(self._shuffle(node_sum(entering[source])))
            results, indices, nodes[source] = leaving(
                nodes[source], gains[source], betas[source], selections[source], source, plan, counters
            )
            for position, (row, result) in enumerate(zip(rows, results, strict=True)):
                entering[edges[row][1]].append(result)
                chosen[row] = indices[:, position]
        nodes.append(self._shuffle(node_sum(entering[space.targets[-1]])))
        if counters:
            torch._foreach_add_(counters, 1)
        selected = torch.stack([chosen[row] for row in range(len(edges))], 1)
        return torch.cat([nodes[node] for node in space.outputs], 1), selected

    def _shuffle(self, x_bchw: Tensor) -> Tensor:
        """Channel shuffle of PC-DARTS, applied once to the sum of a node, because it is linear and the same on all edges."""
        if self.shuffle_groups == 1:
            return x_bchw
        batch, channels, height, width = x_bchw.shape
        x_bhwc = x_bchw.permute(0, 2, 3, 1)
        x_bhwkc = x_bhwc.reshape(batch, height, width, self.shuffle_groups, channels // self.shuffle_groups)
        return x_bhwkc.transpose(3, 4).reshape(batch, height, width, channels).permute(0, 3, 1, 2)
