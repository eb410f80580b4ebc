"""Moves between the cells of any space: draw a cell, and change one thing in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

import torch

from adarts.seeding import generator
from adarts.spaces.description import Space
from adarts.spaces.genotype import CellGenotype, Genotype, Pair


def random_genotype(space: Space, seed: int) -> Genotype:
    """Draw random cells: uniformly random distinct edges for each node, and uniformly random operations other than `none`.

    In a space that keeps every edge, `none` may be drawn, too.
    """
    random = generator(seed, "random genotype", space.name)

    def draw_node(kind: str, target: int) -> tuple[Pair, ...]:
        pairs = []
        for source in sorted(torch.randperm(target, generator=random)[: space.num_kept(target)].tolist()):
            operations = choices(space, kind, source, target)
            pairs.append((operations[torch.randint(len(operations), (), generator=random)], source))
        return tuple(pair for pair in pairs if pair[0] != "none")

    cells = {
        kind: CellGenotype(tuple(draw_node(kind, target) for target in space.targets), space.outputs)
        for kind in space.cell_kinds
    }
    return Genotype(cells, space.name)


def choices(space: Space, kind: str, source: int, target: int) -> list[str]:
    """The operations that an edge of a derived cell may have; `none` is one only in a space that keeps every edge."""
    allowed = compress(space.operations, space.allowed(kind)[space.edges.index((source, target))])
    return [name for name in allowed if name != "none" or space.kept_edges is None]


def neighbors(genotype: Genotype, space: Space) -> Iterator[Genotype]:
    """All cells that differ from these in one edge: another operation on it, or another edge into the same node instead.

    An edge that takes the place of another one keeps its operation if it may have it; otherwise it gets every operation that
    it may have.

    Args:
        genotype: cells of the space whose nodes have distinct sources.
        space: the space.
    """
    for kind in space.cell_kinds:
        for node, target in enumerate(space.targets):
            own = {source: name for name, source in genotype.cells[kind].nodes[node]}
            if space.kept_edges is None:
                own = {source: own.get(source, "none") for source in range(target)}
            for source, name in own.items():
                changed = [(source, other) for other in choices(space, kind, source, target) if other != name]
                for free in sorted(set(range(target)) - own.keys()):
                    possible = choices(space, kind, free, target)
                    changed += [(free, other) for other in ([name] if name in possible else possible)]
                others = {key: value for key, value in own.items() if key != source}
                for place, operation in changed:
                    yield _with_node(genotype, kind, node, others | {place: operation})


def _with_node(genotype: Genotype, kind: str, node: int, operations: dict[int, str]) -> Genotype:
    """The same cells with other operations, by source, into one node."""
    cell = genotype.cells[kind]
    pairs = tuple((name, source) for source, name in sorted(operations.items()) if name != "none")
    nodes = (*cell.nodes[:node], pairs, *cell.nodes[node + 1 :])
    return Genotype({**genotype.cells, kind: CellGenotype(nodes, cell.concat)}, genotype.space)
