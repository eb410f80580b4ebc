"""The weights of a forward pass, and the plan of which operations it computes.

Inactive operations are not computed. For this, the edges that leave a node are split into groups of adjacent edges with the same
active operations, and each group runs only its own operations.

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
    """The weights of one forward pass, computed by a method from the alphas.

    Attributes:
        operations: operation weights (edges, operations) by kind of cell.
        edges: edge weights (edges,) by kind, or None without edge normalization.
        active: bool (edges, operations) by kind. Computes only these of the supernet's active operations, e.g. the sampled
            ones. None computes all active ones.
        auxiliary: weight of the auxiliary skip connection on every edge (DARTS-), if the edge design has one.
        skip_dropout: dropout rate of the elements of a `skip_connect` of stride 1 in training (P-DARTS).
        drop_path: probability in training that an edge contributes nothing for an image (SNAS). What remains is divided by the
            probability of remaining. Drawn from torch's generator for every edge, cell, image and pass.
        constants: an operation that is not computed adds its weight to all elements, as if its output were 1 (GDAS). Its weight
            should be 0, so that it only matters for the gradient.
    """

    operations: Mapping[str, Tensor]
    edges: Mapping[str, Tensor] | None = None
    active: Mapping[str, Tensor] | None = None
    auxiliary: float = 0.0
    skip_dropout: float = 0.0
    drop_path: float = 0.0
    constants: bool = False


class Group(NamedTuple):
    """Adjacent edges that leave a node and have the same active operations.

    Attributes:
        start, stop: range of the edges, counted among those that leave the node.
        operations: indices of the active operations, ascending.
    """

    start: int
    stop: int
    operations: tuple[int, ...]


Plan = list[list[Group]]
"""The groups of every source node."""


def plan(active: Sequence[Sequence[bool]], rows: Sequence[Sequence[int]]) -> Plan:
    """Group the edges of a cell by their active operations.

    Args:
        active: for every edge, whether each operation is active.
        rows: for every source node, the edges that leave it.
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
    """All arguments of a pass through a cell, except tensors.

    Attributes:
        groups: the operations to compute.
        choose: source of the attention that selects channels.
        update_average: update the running averages of the attention with this batch.
        generator: random numbers for the selector `random`.
        auxiliary, skip_dropout, drop_path, constants: as in :class:`ArchWeights`.
    """

    groups: Plan
    choose: AttentionSource = "batch"
    update_average: bool = False
    generator: torch.Generator | None = None
    auxiliary: float = 0.0
    skip_dropout: float = 0.0
    drop_path: float = 0.0
    constants: bool = False


def masked_softmax(alpha_eo: Tensor, active_eo: Tensor) -> Tensor:
    """Softmax over the active operations of every edge (eq. 2); inactive operations get exactly 0 and no gradient."""
    masked_eo = alpha_eo.masked_fill(~active_eo, -torch.inf)
    # A row without active operations would give 0/0; finite numbers and the mask make it 0.
    masked_eo = torch.where(active_eo.any(-1, keepdim=True), masked_eo, 0.0)
    return F.softmax(masked_eo, -1) * active_eo


def masked_mean(values_eo: Tensor, active_eo: Tensor) -> Tensor:
    """Mean over the active operations of all edges."""
    return (values_eo * active_eo).sum() / active_eo.sum()
