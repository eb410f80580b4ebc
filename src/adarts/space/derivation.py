"""From architecture weights to a genotype: the rule of DARTS (eq. 6 of the ADARTS paper), and PC-DARTS's product.

A node keeps its strongest incoming edges, and each of those its strongest operation. `none` takes its share of the
softmax, and so weakens an edge, but is never emitted: it would delete the edge.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from adarts.errors import NotFiniteError
from adarts.space.description import Space
from adarts.space.genotype import CellGenotype, Genotype


def derive(
    space: Space, op_weights: Mapping[str, Tensor], edge_weights: Mapping[str, Tensor] | None = None
) -> Genotype:
    """The genotype that the weights of a search name.

    Args:
        space: the space that was searched.
        op_weights: for each cell kind the operation weights (edges, operations), after the softmax.
        edge_weights: for each cell kind the edge weights (edges), after the softmax; they change only which edges stay.

    Raises:
        NotFiniteError: a weight is NaN or infinite.
    """
    cells = {
        kind: _derive_cell(space, kind, op_weights[kind], None if edge_weights is None else edge_weights[kind])
        for kind in space.cell_kinds
    }
    return Genotype(cells, space.name)


def _derive_cell(space: Space, kind: str, op_weights_eo: Tensor, edge_weights_e: Tensor | None) -> CellGenotype:
    if op_weights_eo.shape != (len(space.edges), len(space.operations)):
        raise ValueError(f"{kind} cell: operation weights of shape {tuple(op_weights_eo.shape)}")
    candidates = [index for index, name in enumerate(space.operations) if name != "none"]
    scores_eo = op_weights_eo.detach().double().cpu()[:, candidates]
    if edge_weights_e is not None:
        scores_eo = scores_eo * edge_weights_e.detach().double().cpu().unsqueeze(1)
    if not torch.isfinite(scores_eo).all():
        raise NotFiniteError(f"{kind} cell: the architecture weights are not finite, so no genotype can be derived")
    best_operation = [space.operations[candidates[row.index(max(row))]] for row in scores_eo.tolist()]
    strength = scores_eo.amax(dim=1).tolist()

    def derive_node(target: int) -> tuple[tuple[str, int], ...]:
        # Python's sort is stable, so that at a tie the lower source stands first.
        strongest = sorted(space.incoming(target), key=lambda edge: -strength[edge])[: space.kept_edges]
        return tuple((best_operation[edge], space.edges[edge][0]) for edge in strongest)

    return CellGenotype(tuple(derive_node(target) for target in space.targets), tuple(space.targets))
