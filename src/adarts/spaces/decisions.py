"""A cell as a list of independent decisions, from the description of its space: for searchers that weigh decisions by name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

from adarts.spaces.description import Space
from adarts.spaces.genotype import CellGenotype, Genotype


class _Node(NamedTuple):
    """The decisions of a node: on its sources, if there are several sets of them, and on the operation from each source."""

    sets: tuple[tuple[int, ...], ...]
    on_sources: int | None
    on_operation: tuple[int, ...]
    operations: tuple[tuple[str, ...], ...]


class Decisions:
    """The decisions that make up the cells of a space.

    There is one for the operation of every edge. In a space that does not keep every edge, there is also one for the sources of
    every node that has more edges than it keeps. The decisions for the edges that a cell leaves out are not taken.

    Args:
        space: the search space.

    Attributes:
        names: the decisions, such as ``normal 0>2`` or ``normal 3`` for the sources of node 3.
        sizes: for each decision, the number of its options.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        sizes: dict[str, int] = {}

        def add(name: str, size: int) -> int:
            sizes[name] = size
            return len(sizes) - 1

        def node(kind: str, target: int) -> _Node:
            sets = tuple(combinations(range(target), space.num_kept(target)))
            operations = tuple(space.choices[kind][source, target] for source in range(target))
            on_sources = add(f"{kind} {target}", len(sets)) if len(sets) > 1 else None
            names = (f"{kind} {source}>{target}" for source in range(target))
            on_operation = tuple(add(name, len(own)) for name, own in zip(names, operations, strict=True))
            return _Node(sets, on_sources, on_operation, operations)

        self._nodes = {kind: [node(kind, target) for target in space.targets] for kind in space.cell_kinds}
        self.names, self.sizes = tuple(sizes), tuple(sizes.values())

    def build(self, decide: Callable[[int], int]) -> Genotype:
        """Take the decisions one after the other.

        Args:
            decide: number of a decision in :attr:`names` -> number of the option.
        """

        def pairs(node: _Node) -> tuple[tuple[str, int], ...]:
            sources = node.sets[0 if node.on_sources is None else decide(node.on_sources)]
            decided = [(node.operations[source][decide(node.on_operation[source])], source) for source in sources]
            return tuple(pair for pair in decided if pair[0] != "none")

        cells = {
            kind: CellGenotype(tuple(map(pairs, nodes)), self.space.outputs) for kind, nodes in self._nodes.items()
        }
        return Genotype(cells, self.space.name)

    def taken(self, genotype: Genotype) -> dict[int, int]:
        """The decisions that lead to these cells: number of the decision -> number of the option.

        Args:
            genotype: cells of the space whose nodes have distinct sources, as many as the space keeps.
        """
        found = {}
        for kind, nodes in self._nodes.items():
            for node, pairs in zip(nodes, genotype.cells[kind].nodes, strict=True):
                own = {source: name for name, source in pairs}
                sources = node.sets[0]
                if node.on_sources is not None:
                    sources = tuple(sorted(own))
                    found[node.on_sources] = node.sets.index(sources)
                for source in sources:
                    found[node.on_operation[source]] = node.operations[source].index(own.get(source, "none"))
        return found
