"""Derive a genotype from architecture weights.

A rule selects the edges and operations that a node keeps. :func:`strongest_edges` is the rule of DARTS (eq. 6 of the ADARTS
paper); if edges are weighted, it ranks them by the product of edge and operation weight, as PC-DARTS does. `none` takes its share
of the softmax, and thus weakens an edge, but is never selected.

Some rules may leave a node without incoming edges. Such a node is not an output of the cell, and edges that read it are removed.
A cell that would be empty keeps its strongest pair on an input, and the genotype's remarks say so.

In a space that keeps every edge, each edge has its best operation, which may be `none` unless the rule excludes it
(:func:`never_none`). A node without incoming edges is zero there.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from adarts.errors import NotFiniteError
from adarts.spaces.description import Space
from adarts.spaces.genotype import CellGenotype, Genotype


class Candidate(NamedTuple):
    """An operation on one of the edges that enter a node.

    Attributes:
        operation: its name, which may be `none`.
        source: the node that the edge leaves.
        weight: operation weight.
        strength: operation weight times edge weight.
    """

    operation: str
    source: int
    weight: float
    strength: float


Rule = Callable[[Space, Sequence[Candidate]], Sequence[Candidate]]
"""(space, candidates of a node) -> the candidates it keeps. They are ordered by source, then by operation in the space."""


def strongest_edges(space: Space, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The rule of DARTS: the strongest edges, each with its best operation."""
    if space.kept_edges is None:
        return _something(_best_of_each_edge(candidates))
    return _by_strength(_best_of_each_edge(_something(candidates)))[: space.kept_edges]


def never_none(space: Space, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The rule of DARTS without `none`, also in spaces that keep every edge."""
    return strongest_edges(space, _something(candidates))


def strongest_pairs(space: Space, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The rule of GDAS: the strongest pairs of operation and edge, `space.kept_edges` of them, possibly on the same edge."""
    if space.kept_edges is None:
        return strongest_edges(space, candidates)
    return _by_strength(_something(candidates))[: space.kept_edges]


def decided_edges(space: Space, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The rule of SNAS: the best operation of every edge; edges whose best operation is `none` are removed."""
    if space.kept_edges is None:
        return strongest_edges(space, candidates)
    return _by_strength(_something(_best_of_each_edge(candidates)))


def at_least(threshold: float) -> Rule:
    """The rule of FairDARTS: the rule of DARTS, restricted to operations whose weight reaches a threshold."""

    def rule(space: Space, candidates: Sequence[Candidate]) -> list[Candidate]:
        return [kept for kept in strongest_edges(space, candidates) if kept.weight >= threshold]

    return rule


def derive(
    space: Space,
    op_weights: Mapping[str, Tensor],
    edge_weights: Mapping[str, Tensor] | None = None,
    rule: Rule = strongest_edges,
) -> Genotype:
    """Derive a genotype from the weights of a search.

    Args:
        space: the search space.
        op_weights: operation weights (edges, operations) by kind of cell, after the softmax.
        edge_weights: edge weights (edges,) by kind, after the softmax; they only affect which edges are kept.
        rule: selects the candidates that a node keeps.

    Raises:
        NotFiniteError: a weight is NaN or infinite.
    """
    cells, remarks = {}, []
    for kind in space.cell_kinds:
        nodes = _candidates(space, kind, op_weights[kind], None if edge_weights is None else edge_weights[kind])
        cells[kind] = _cell(space, {target: rule(space, node) for target, node in nodes.items()})
        left_out = [target for target in space.targets if target not in cells[kind].concat]
        if space.kept_edges is None:
            if not _reached(space, cells[kind]):
                what = "no path leads to its last node, so the network gives the same output for every image"
                remarks.append(f"{kind} cell: {what}")
        elif not cells[kind].concat:
            found = [(target, c) for target, node in nodes.items() for c in _something(node)]
            # `max` takes the first of equals: the one with the lowest target, source and operation.
            target, only = max((f for f in found if f[1].source < space.num_inputs), key=lambda f: f[1].strength)
            cells[kind] = _cell(space, {target: [only]})
            remarks.append(
                f"the search left the {kind} cell empty; only its strongest operation was kept, {only.operation} from node "
                f"{only.source} to node {target}"
            )
        elif left_out:
            remarks.append(f"{kind} cell: no edge enters node {' and '.join(map(str, left_out))}, so it is left out")
    return Genotype(cells, space.name, tuple(remarks))


def _candidates(
    space: Space, kind: str, op_weights_eo: Tensor, edge_weights_e: Tensor | None
) -> dict[int, list[Candidate]]:
    """The candidates of every node."""
    if op_weights_eo.shape != (len(space.edges), len(space.operations)):
        raise ValueError(f"{kind} cell: operation weights of shape {tuple(op_weights_eo.shape)}")
    weights_eo = op_weights_eo.detach().double().cpu()
    strengths_eo = weights_eo
    if edge_weights_e is not None:
        strengths_eo = weights_eo * edge_weights_e.detach().double().cpu().unsqueeze(1)
    if not torch.isfinite(strengths_eo).all():
        raise NotFiniteError(f"{kind} cell: the architecture weights are not finite, so no genotype can be derived")
    rows = [
        [Candidate(operation, source, *figures) for operation, *figures in zip(space.operations, *both, strict=True)]
        for (source, _), *both in zip(space.edges, weights_eo.tolist(), strengths_eo.tolist(), strict=True)
    ]
    return {target: [c for edge in space.incoming(target) for c in rows[edge]] for target in space.targets}


def _cell(space: Space, kept: Mapping[int, Sequence[Candidate]]) -> CellGenotype:
    """Build a cell without edges that read a node without incoming edges; it may be empty."""
    nodes, filled = [], set(range(space.num_inputs))
    for target in space.targets:
        node = [c for c in kept.get(target, ()) if c.source in filled or space.kept_edges is None]
        nodes.append(tuple((c.operation, c.source) for c in node))
        filled |= {target} if node else set()
    outputs = tuple(target for target in space.targets if target in filled)
    return CellGenotype(tuple(nodes), space.outputs if space.kept_edges is None else outputs)


def _reached(space: Space, cell: CellGenotype) -> bool:
    """Whether an input of a cell reaches its last node."""
    filled = set(range(space.num_inputs))
    for target, pairs in zip(space.targets, cell.nodes, strict=True):
        filled |= {target} if any(source in filled for _, source in pairs) else set()
    return space.targets[-1] in filled


def _something(candidates: Iterable[Candidate]) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.operation != "none"]


def _best_of_each_edge(candidates: Iterable[Candidate]) -> list[Candidate]:
    return [max(edge, key=lambda c: c.weight) for _, edge in groupby(candidates, key=lambda c: c.source)]


def _by_strength(candidates: Iterable[Candidate]) -> list[Candidate]:
    # Python's sort is stable, so the lower source comes first at a tie.
    return sorted(candidates, key=lambda c: -c.strength)
