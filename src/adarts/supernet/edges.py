"""All mixed edges that leave one node of a cell, computed together (Algorithm 3 and eq. 10, batched)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts import kernels
from adarts.config.settings import EdgeDesign
from adarts.spaces import Space
from adarts.supernet import selection as select
from adarts.supernet.attention import ChannelAttention
from adarts.supernet.batched import BatchNorm, Rows, some
from adarts.supernet.operations import Features, Identity, NativeOperation, candidate, skip
from adarts.supernet.plan import CellPlan, Group


class SourceEdges(nn.Module):
    """The mixed edges that leave one node.

    They share the node's feature map x. It is pooled once for all attention modules. Every candidate operation runs once on
    the concatenated selected channels of all edges on which it is active. The bypassing channels are a scaled copy of x.

    Args:
        channels: channels C of the node.
        allowed: for every edge that leaves the node, a mask of its operations. An operation that no edge may have is not
            created. One that some edges may have is created for all, so that the edges stay in one tensor.
        stride: 2 for the inputs of a reduction cell, else 1.
        space: the search space.
        design: channel selection and attention.
    """

    def __init__(
        self, channels: int, allowed: Sequence[Sequence[bool]], stride: int, space: Space, design: EdgeDesign
    ) -> None:
        super().__init__()
        self.channels, self.stride, self.design = channels, stride, design
        self.num_edges = num_edges = len(allowed)
        self.operation_names = space.operations
        self.selected = channels // design.k
        num_modules = 1 if design.attention_scope == "node" else num_edges
        self.attention = ChannelAttention(num_modules, channels, design.k) if design.attention else None
        self.operations = nn.ModuleDict(
            {
                name: candidate(name, num_edges, self.selected, stride, space.normalized_pools)
                for name, allowed_e in zip(space.operations, zip(*allowed, strict=True), strict=True)
                if name != "none" and any(allowed_e)
            }
        )
        self.auxiliary = skip(num_edges, self.selected, stride) if design.auxiliary_skip else None
        #: the channel in every slot of the operations (E, C/k), for designs that keep it
        self.slots: Tensor | None
        self.register_buffer("slots", self._first_slots())

    def forward(
        self,
        x_bchw: Tensor,
        gain_on: Tensor,
        beta_e: Tensor | None,
        given: Tensor | None,
        source: int,
        plan: CellPlan,
        counters: list[Tensor],
    ) -> tuple[list[Addend], Tensor, Tensor]:
        """Compute the contribution of each edge to its target node, and select channels.

        Args:
            x_bchw: feature map of the node.
            gain_on: factor of every operation for the selected channels of all edges that leave it.
            beta_e: their edge weights, or None.
            given: their selected channels (1 or B, E, C/k); None selects them here.
            source: index of the node.
            plan: plan of the pass through the cell.
            counters: receives the counters of batches to increase.

        Returns:
            An input of :func:`node_sum` for each edge, the indices of the selected channels (1 or B, E, C/k), and the feature
            map of the node for its other readers.
        """
        groups = plan.groups[source]
        beside = (gain_on, beta_e, *(() if self.attention is None else self.attention.weights))
        if (native := self._native(x_bchw, groups, given, plan, beside)) is not None:
            return self._at_once(x_bchw, gain_on, beta_e, given, plan, *native)
        of_output, of_attention, of_bypass, *readers = kernels.fan(x_bchw, 3 + len(groups))
        attention_ebc = None
        if self.attention is not None:
            attention_ebc = self.attention(of_attention, plan.update_average).expand(self.num_edges, -1, -1)
        indices = self._choice(attention_ebc, given, plan, x_bchw.device)
        scale_bn, gates = self._factors(attention_ebc, indices, beta_e, x_bchw)
        auxiliary_e = None
        if self.auxiliary is not None:
            auxiliary_e = (x_bchw.new_ones(self.num_edges) if beta_e is None else beta_e) * plan.auxiliary

        results: list[Tensor] = []
        for group, reader in zip(groups, readers, strict=True):
            # A slice of all edges would cost two copies in the backward pass.
            rows = None if group.stop - group.start == self.num_edges else slice(group.start, group.stop)
            entering = self._entering(reader, indices, scale_bn, rows)
            columns = slice(group.start * self.selected, group.stop * self.selected)
            gain_oa = gain_on if rows is None else gain_on[:, columns]
            auxiliary_a = None if auxiliary_e is None else some(auxiliary_e, rows)
            mixed = self._mix(entering, gain_oa, auxiliary_a, group, rows, plan, counters)
            results += mixed.split(self.selected, 1)
        kept_eb = self._kept(x_bchw, plan.drop_path)
        if kept_eb is not None:
            results = [y_bchw * kept_b[:, None, None, None] for y_bchw, kept_b in zip(results, kept_eb, strict=True)]
        if gates is None:
            return list(results), indices, of_output

        if kept_eb is not None:
            gates = [gate_bc * kept_b[:, None] for gate_bc, kept_b in zip(gates, kept_eb, strict=True)]
        # Attention is positive, so scaling (eq. 8) commutes with max pooling, which is therefore done once for all edges.
        bypass = of_bypass if self.stride == 1 else F.max_pool2d(of_bypass, 2, 2, ceil_mode=True)
        bypasses = kernels.fan(bypass, self.num_edges)
        contributions: list[Addend] = [
            kernels.Contribution(bypasses[e], gates[e], results[e], indices[:, e]) for e in range(self.num_edges)
        ]
        return contributions, indices, of_output

    def _native(
        self,
        x_bchw: Tensor,
        groups: Sequence[Group],
        given: Tensor | None,
        plan: CellPlan,
        beside: Sequence[Tensor | None],
    ) -> tuple[list[kernels.Active], kernels.Normalization] | None:
        """The operations of all groups and their normalization for :func:`adarts.kernels.edges`, if it can compute them."""
        if not x_bchw.is_cpu or x_bchw.shape[1] != self.channels or (self.training and plan.drop_path > 0):
            return None
        if given is not None and (
            given.shape[1:] != (self.num_edges, self.selected)
            or len(given) not in (1, len(x_bchw))
            or given.dtype is not torch.int64
        ):
            return None
        used: dict[int, nn.Module | None] = {
            index: None if (name := self.operation_names[index]) == "none" else self.operations[name]
            for group in groups
            for index in group.operations
        }
        if self.auxiliary is not None:
            used[len(self.operation_names)] = self.auxiliary  # the row of its gains comes last
        candidates: dict[int, kernels.Candidate] = {}
        norms: list[BatchNorm] = []
        for index, operation in used.items():
            if operation is None:
                candidates[index] = kernels.Candidate(kernels.Kind.NONE)
                continue
            if not isinstance(operation, NativeOperation):
                return None
            if isinstance(operation, Identity) and plan.skip_dropout > 0 and operation.training:
                return None
            norms += operation.norms
            candidates[index] = operation.candidate()
        if len({(norm.training, norm.track_running_stats) for norm in norms}) > 1:
            return None
        if all(candidate.kind is kernels.Kind.NONE for candidate in candidates.values()):
            return None  # so that autograd knows that nothing depends on the gains
        how = norms[0].normalization(None) if norms else kernels.Normalization(None, None, self.training)
        if not kernels.edges_fit(x_bchw, self.selected, list(candidates.values()), how, *beside):
            return None
        more = () if self.auxiliary is None else (len(self.operation_names),)
        active = [
            kernels.Active(
                group.start, group.stop, [(candidates[index], index) for index in (*group.operations, *more)]
            )
            for group in groups
        ]
        return active, how

    def _at_once(
        self,
        x_bchw: Tensor,
        gain_on: Tensor,
        beta_e: Tensor | None,
        given: Tensor | None,
        plan: CellPlan,
        active: Sequence[kernels.Active],
        norm: kernels.Normalization,
    ) -> tuple[list[Addend], Tensor, Tensor]:
        """:meth:`forward` in one native call."""
        attention = None if self.attention is None else self.attention.attend(x_bchw, plan.update_average)
        scores = None if attention is None else attention.attention_ebc.expand(self.num_edges, -1, -1)
        indices = self._choice(scores, given, plan, x_bchw.device)
        if self.auxiliary is not None:
            auxiliary_n = (x_bchw.new_ones(self.num_edges) if beta_e is None else beta_e) * plan.auxiliary
            gain_on = torch.cat([gain_on, auxiliary_n.repeat_interleave(self.selected)[None]])
        results = kernels.edges(x_bchw, indices, attention, beta_e, gain_on, active, self.stride, norm, plan.constants)
        return list(results), indices, x_bchw

    def _choice(
        self, attention_ebc: Tensor | None, given: Tensor | None, plan: CellPlan, device: torch.device
    ) -> Tensor:
        """The selected channels (1 or B, E, C/k); slots are remembered."""
        indices = self._indices(attention_ebc, plan, device) if given is None else given
        if self.slots is not None and plan.update_average and self.design.slots == "persistent":
            self.slots.copy_(indices[0])
        return indices

    def _first_slots(self) -> Tensor | None:
        if self.design.selector == "random" and self.design.freeze:
            return select.top(torch.rand(self.num_edges, 1, self.channels), self.design.k, per_image=True)[0]
        if self.design.slots == "persistent":
            return torch.arange(self.selected).repeat(self.num_edges, 1)
        return None

    def _indices(self, attention_ebc: Tensor | None, plan: CellPlan, device: torch.device) -> Tensor:
        design, size = self.design, (self.num_edges, self.channels, self.design.k)
        if design.selector in ("all", "first"):
            return select.first(*size, device)
        if design.selector == "random":
            return select.random(*size, plan.generator, device) if self.slots is None else self.slots[None]
        assert self.attention is not None and attention_ebc is not None  # guaranteed by the settings
        if plan.choose == "average":
            average_e1c = self.attention.average.expand(self.num_edges, -1)[:, None]
            chosen_sek = select.top(average_e1c, design.k, per_image=True)
        else:
            chosen_sek = select.top(attention_ebc.detach(), design.k, per_image=design.mask_scope == "sample")
        return chosen_sek if self.slots is None else select.place(chosen_sek, self.slots)

    def _factors(
        self, attention_ebc: Tensor | None, indices: Tensor, beta_e: Tensor | None, x_bchw: Tensor
    ) -> tuple[Tensor | None, Sequence[Tensor] | None]:
        """Factors of the selected channels (B, E·C/k), and for every edge of the bypassing ones (1 or B, C), 0 for the selected.

        The first are None without attention, the second if no channel bypasses the operations.
        """
        if self.design.k == 1:
            return (None if attention_ebc is None else attention_ebc.transpose(0, 1).flatten(1)), None
        if attention_ebc is not None:
            return kernels.factors(attention_ebc, indices, beta_e)
        index_ebk = indices.transpose(0, 1)
        gate_ebc = x_bchw.new_ones(*index_ebk.shape[:2], self.channels).scatter(2, index_ebk, 0.0)
        return None, (gate_ebc if beta_e is None else gate_ebc * beta_e[:, None, None]).unbind()

    def _entering(self, x_bchw: Tensor, indices: Tensor, scale_bn: Tensor | None, rows: Rows) -> Tensor:
        """The input of the operations of some edges, (B, n, H, W)."""
        if rows is not None:
            indices = indices[:, rows]
            scale_bn = scale_bn if scale_bn is None else scale_bn.unflatten(1, (self.num_edges, -1))[:, rows].flatten(1)
        if self.design.k > 1:
            return kernels.select(x_bchw, indices, scale_bn)
        num_edges = indices.shape[1]
        copies = torch.cat([x_bchw] * num_edges, 1) if num_edges > 1 else x_bchw  # keeps channels last, unlike `repeat`
        return copies if scale_bn is None else copies * scale_bn.to(copies.dtype)[:, :, None, None]

    def _kept(self, x_bchw: Tensor, drop_path: float) -> Tensor | None:
        """The factor of every edge for every image (E, B) by drop path, or None without it."""
        if not (self.training and drop_path > 0):
            return None
        kept_eb = torch.rand(self.num_edges, len(x_bchw), device=x_bchw.device) >= drop_path
        return kept_eb.to(x_bchw.dtype) / (1 - drop_path)

    def _mix(
        self,
        x_bnhw: Tensor,
        gain_oa: Tensor,
        auxiliary_e: Tensor | None,
        group: Group,
        rows: Rows,
        plan: CellPlan,
        counters: list[Tensor],
    ) -> Tensor:
        """Sum of the active operations, each with its weight: eq. (3) for a group of edges."""
        names = [self.operation_names[index] for index in group.operations]
        operations = [self.operations[name] for name in names if name != "none"]
        features = Features(x_bnhw, self.stride, operations, rows, plan.skip_dropout)
        # `unbind` instead of indexing: the gradients of the rows are then stacked once, instead of added one by one.
        gain_on = gain_oa.unbind()
        gains = [gain_on[index] for index, name in zip(group.operations, names, strict=True) if name != "none"]
        if self.auxiliary is not None and auxiliary_e is not None:
            operations.append(self.auxiliary)
            gains.append(auxiliary_e.repeat_interleave(self.selected, 0))
        constant_n = None
        if plan.constants:
            others = [gain for index, gain in enumerate(gain_on) if index not in group.operations]
            constant_n = torch.stack(others).sum(0) if others else None
        if not operations:
            size = (math.ceil(side / self.stride) for side in x_bnhw.shape[2:])
            nothing = x_bnhw.new_zeros(*x_bnhw.shape[:2], *size).contiguous(memory_format=torch.channels_last)
            return nothing if constant_n is None else nothing + constant_n.to(nothing.dtype)[:, None, None]
        results = [operation(features) for operation in operations]
        counters += features.counters
        maps = [(z, gain, norm) for (z, norm), gain in zip(results, gains, strict=True)]
        return kernels.normalized_sum(maps, constant_n)


def factors_of_operations(weight_eo: Tensor, beta_e: Tensor | None, selected: int) -> Tensor:
    """The factor of every operation for each selected channel of all edges, (operations, E·selected)."""
    gain_eo = weight_eo if beta_e is None else weight_eo * beta_e[:, None]
    return gain_eo.repeat_interleave(selected, 0).t().contiguous()


#: contribution of an edge to its target: a feature map, or its parts with partial connection or from a native call
Addend = Tensor | kernels.Contribution | kernels.Carried


def node_sum(addends: Sequence[Addend]) -> Tensor:
    """The feature map of the node that these edges enter: the sum of their contributions."""
    sums = [a for a in addends if isinstance(a, Tensor)]
    if parts := [a for a in addends if isinstance(a, kernels.Contribution)]:
        sums.append(kernels.write_back(parts))
    if carried := [a for a in addends if isinstance(a, kernels.Carried)]:
        sums.append(kernels.collect(carried))
    return reduce(torch.add, sums)
