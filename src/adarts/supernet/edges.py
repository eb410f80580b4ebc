"""All mixed edges that leave one node of a cell, computed together (Algorithm 3 and eq. 10, batched)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts import kernels
from adarts.config.settings import EdgeDesign
from adarts.supernet import selection as select
from adarts.supernet.attention import ChannelAttention
from adarts.supernet.batched import per_channel
from adarts.supernet.operations import BATCHED, Features
from adarts.supernet.selection import AttentionSource


class SourceEdges(nn.Module):
    """The mixed edges that leave one node.

    They share the node's feature map x: it is pooled once for all attention modules, every candidate operation runs once
    over the selected channels of all edges side by side, and the channels that bypass the operations are one scaling of x.

    Args:
        channels: C of the node.
        num_edges: edges that leave it.
        stride: 2 for the inputs of a reduction cell.
        operations: names, in the order of the logits.
        design: which channels enter, and attention.
    """

    def __init__(
        self, channels: int, num_edges: int, stride: int, operations: Sequence[str], design: EdgeDesign
    ) -> None:
        super().__init__()
        self.channels, self.num_edges, self.stride, self.design = channels, num_edges, stride, design
        self.operation_names = tuple(operations)
        selected = channels // design.k
        num_modules = 1 if design.attention_scope == "node" else num_edges
        self.attention = ChannelAttention(num_modules, channels, design.k) if design.attention else None
        self.operations = nn.ModuleDict(
            {name: BATCHED[name](num_edges, selected, stride) for name in operations if name != "none"}
        )

    def forward(
        self,
        x_bchw: Tensor,
        weight_eo: Tensor,
        beta_e: Tensor | None,
        choose: AttentionSource | Tensor,
        update_average: bool,
        generator: torch.Generator | None,
    ) -> tuple[list[Addend], Tensor]:
        """What each edge adds to its target node, and the selected channels.

        Args:
            x_bchw: feature map of the node.
            weight_eo: operation weights.
            beta_e: edge weights, or none.
            choose: given indices (1 or B, E, C/k), or where attention's choice comes from.
            update_average: let the running average of the attention follow this batch.
            generator: of the selector `random`.

        Returns:
            For each edge what :func:`node_sum` adds up, and the indices (1 or B, E, C/k).
        """
        attention_ebc = None
        if self.attention is not None:
            attention_ebc = self.attention(x_bchw, update_average).expand(self.num_edges, -1, -1)
        indices = self._indices(attention_ebc, choose, generator, x_bchw.device)
        gain_eo = weight_eo if beta_e is None else weight_eo * beta_e[:, None]
        if self.design.k == 1:
            mixed = self._mix(self._all_channels(x_bchw, attention_ebc), gain_eo)
            return list(mixed.split(self.channels, 1)), indices

        index_ebk = indices.transpose(0, 1)
        scale_bn = None
        # What bypasses the operations is scaled by the attention, the selected channels by 0.
        gate_ebc = torch.ones_like(index_ebk[..., :1], dtype=x_bchw.dtype).repeat(1, 1, self.channels)
        gate_ebc = gate_ebc.scatter(2, index_ebk, 0.0)
        if attention_ebc is not None:
            picked_ebk = attention_ebc.gather(2, index_ebk.expand(-1, len(x_bchw), -1))
            scale_bn = picked_ebk.transpose(0, 1).flatten(1)
            gate_ebc = gate_ebc * attention_ebc
        if beta_e is not None:
            gate_ebc = gate_ebc * beta_e[:, None, None]
        mixed = self._mix(kernels.select(x_bchw, indices, scale_bn), gain_eo)
        # Attention is positive, so scaling commutes with the max pooling of eq. (8)'s result, which is therefore done once
        # for all edges.
        bypass = x_bchw if self.stride == 1 else F.max_pool2d(x_bchw, 2, 2, ceil_mode=True)
        results = mixed.split(self.channels // self.design.k, 1)
        return [
            kernels.Contribution(bypass, gate_ebc[e], results[e], indices[:, e]) for e in range(self.num_edges)
        ], indices

    def _indices(
        self,
        attention_ebc: Tensor | None,
        choose: AttentionSource | Tensor,
        generator: torch.Generator | None,
        device: torch.device,
    ) -> Tensor:
        design, size = self.design, (self.num_edges, self.channels, self.design.k)
        if isinstance(choose, Tensor):
            return choose
        if design.selector in ("all", "first"):
            return select.first(*size, device)
        if design.selector == "random":
            return select.random(*size, generator, device)
        assert self.attention is not None and attention_ebc is not None  # the settings see to it
        if choose == "average":
            return select.top(self.attention.average.expand(1, self.num_edges, -1), design.k)
        score_sec = attention_ebc.detach().transpose(0, 1)
        return select.top(score_sec if design.mask_scope == "sample" else score_sec.mean(0, keepdim=True), design.k)

    def _all_channels(self, x_bchw: Tensor, attention_ebc: Tensor | None) -> Tensor:
        """K = 1: every channel on every edge, (B, E·C, H, W)."""
        copies = torch.cat([x_bchw] * self.num_edges, 1)  # unlike `repeat`, keeps channels last
        if attention_ebc is None:
            return copies
        scale_bn = attention_ebc.transpose(0, 1).flatten(1).to(copies.dtype)
        return copies * scale_bn[:, :, None, None]

    def _mix(self, selected_bnhw: Tensor, gain_eo: Tensor) -> Tensor:
        """Sum of the operations, each with its weight: eq. (3) for all edges."""
        features = Features(selected_bnhw, self.stride, self.operations.values())
        gain_on = per_channel(gain_eo, selected_bnhw.shape[1] // self.num_edges).t()
        terms = []
        for index, name in enumerate(self.operation_names):
            if name != "none":
                z, norm = self.operations[name](features)
                terms.append((z, gain_on[index], norm))
        return kernels.normalised_sum(terms)


#: what an edge adds to its target: a feature map, or the parts of one with partial connection
Addend = Tensor | kernels.Contribution


def node_sum(addends: Sequence[Addend]) -> Tensor:
    """The node that these edges enter."""
    if isinstance(addends[0], kernels.Contribution):
        return kernels.write_back([a for a in addends if isinstance(a, kernels.Contribution)])
    return reduce(torch.add, [a for a in addends if isinstance(a, Tensor)])
