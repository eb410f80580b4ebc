"""A pass through the supernet that computes a single cell of each kind.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adarts.spaces import Genotype
from adarts.supernet.network import Supernet
from adarts.supernet.plan import ArchWeights


def only(
    supernet: Supernet, genotype: Genotype, weight: float = 1.0, edges: Mapping[str, Tensor] | None = None
) -> ArchWeights:
    """The weights of a pass that computes only these cells; edges outside them have no weight.

    Args:
        supernet: the supernet.
        genotype: cells of its space.
        weight: weight of every operation of the cells.
        edges: edge weights (edges,) by kind of cell, if the supernet has them.
    """
    space, like = supernet.space, next(supernet.parameters())
    active = {kind: torch.tensor(genotype.mask(kind), device=like.device) for kind in space.cell_kinds}
    operations = {kind: weight * active_eo.to(like.dtype) for kind, active_eo in active.items()}
    kept = {kind: active_eo.any(-1).to(like.dtype) for kind, active_eo in active.items()}
    if edges is not None:
        kept = {kind: kept_e * edges[kind] for kind, kept_e in kept.items()}
    # A space that keeps every edge needs no edge weights of its own.
    return ArchWeights(operations, edges if space.kept_edges is None else kept, active)


def without_bypass(
    supernet: Supernet, active: Mapping[str, Tensor], edges: Mapping[str, Tensor] | None
) -> Mapping[str, Tensor] | None:
    """The edge weights, 0 for edges without active operations, whose bypassing channels would otherwise reach the node.

    Args:
        supernet: the supernet.
        active: masks of the active operations (edges, operations) by kind of cell.
        edges: edge weights (edges,) by kind of cell, if the supernet has them.
    """
    if supernet.design.k == 1:
        return edges  # without a bypass, an edge without operations is zero anyway
    there = {kind: active_eo.any(-1).float() for kind, active_eo in active.items()}
    return there if edges is None else {kind: edges[kind] * there_e for kind, there_e in there.items()}
