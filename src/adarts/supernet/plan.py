"""How a forward pass mixes the candidate operations, and which of them it computes at all.

An operation is active on an edge or it is not. What is not active is not computed: the edges that leave a node are split into
groups of neighbors with the same active operations, and each group runs its own operations alone.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.supernet.selection import AttentionSource


@dataclass(frozen=True)
class ArchWeights:
    """The weights of one forward pass; what a method makes of the alphas.

    Attributes:
        operations: kind -> weights of the operations (edges, operations).
        edges: kind -> weights of the edges (edges,), or None without edge normalization.
        active: kind -> bool (edges, operations), further limits to what the supernet has active; None sets none. Whoever
            samples says here what was drawn.
        auxiliary: weight of the auxiliary skip connection beside the operations of every edge (DARTS-), where the edge
            design has one.
        skip_dropout: probability with which an element of a `skip_connect` of stride 1 is dropped in training (P-DARTS).
    """

    operations: Mapping[str, Tensor]
    edges: Mapping[str, Tensor] | None = None
    active: Mapping[str, Tensor] | None = None
    auxiliary: float = 0.0
    skip_dropout: float = 0.0


class Group(NamedTuple):
    """Neighbors among the edges that leave a node, with the same active operations.

    Attributes:
        start, stop: the edges, counted among those that leave the node.
        operations: indices of the active operations, ascending.
    """

    start: int
    stop: int
    operations: tuple[int, ...]


Plan = list[list[Group]]
"""For every node that edges leave, its groups."""


def plan(active: Sequence[Sequence[bool]], rows: Sequence[Sequence[int]]) -> Plan:
    """What a pass through a cell computes.

    Args:
        active: for every edge, whether each operation is active.
        rows: for every node, the edges that leave it.
    """
    operations = [tuple(index for index, is_active in enumerate(row) if is_active) for row in active]
    result = []
    for edges in rows:
        groups, start = [], 0
        for shared, members in groupby(operations[edge] for edge in edges):
            stop = start + len(list(members))
            groups.append(Group(start, stop, shared))
            start = stop
        result.append(groups)
    return result


@dataclass(frozen=True)
class CellPlan:
    """Everything that a pass through a cell is told besides its tensors.

    Attributes:
        groups: what is computed.
        choose: where attention's choice of channels comes from.
        update_average: let the running averages of the attention follow this batch.
        generator: what the selector `random` draws from.
        auxiliary: as in :class:`ArchWeights`.
        skip_dropout: as in :class:`ArchWeights`.
    """

    groups: Plan
    choose: AttentionSource = "batch"
    update_average: bool = False
    generator: torch.Generator | None = None
    auxiliary: float = 0.0
    skip_dropout: float = 0.0


def masked_softmax(alpha_eo: Tensor, active_eo: Tensor) -> Tensor:
    """Softmax over the active operations of every edge (eq. 2); the others, and edges without any, get exactly 0.

    Every softmax over operations goes through here, so that what is not active takes no share and gets no gradient.
    """
    masked_eo = alpha_eo.masked_fill(~active_eo, -torch.inf)
    # A row without any active operation would be 0/0; with finite numbers in its place, the mask makes it 0.
    masked_eo = torch.where(active_eo.any(-1, keepdim=True), masked_eo, 0.0)
    return F.softmax(masked_eo, -1) * active_eo


def masked_mean(values_eo: Tensor, active_eo: Tensor) -> Tensor:
    """Mean over the active operations of all edges."""
    return (values_eo * active_eo).sum() / active_eo.sum()
