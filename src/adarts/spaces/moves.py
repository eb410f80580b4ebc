"""Moves between the cells of any space: draw cells, change one thing in them, exchange nodes between two.

A place of a cell is an edge that it has. In a space that keeps every edge, every edge is a place, also one with `none`, and a
change gives it another operation. In other spaces a change gives a place another operation, or puts another edge into the same
node instead. That edge keeps the operation if it may have it. The sources of a node stay distinct.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import torch

from adarts.seeding import generator
from adarts.spaces.description import Space
from adarts.spaces.genotype import CellGenotype, Genotype, Pair

Places = dict[int, str]
"""The places that enter a node: source -> operation, which may be `none`."""


def random_genotype(space: Space, seed: int) -> Genotype:
    """Draw random cells: uniformly random distinct edges for each node, and uniformly random operations other than `none`.

    In a space that keeps every edge, `none` may be drawn, too.
    """
    random = generator(seed, "random genotype", space.name)

    def draw_node(kind: str, target: int) -> tuple[Pair, ...]:
        pairs = []
        for source in sorted(torch.randperm(target, generator=random)[: space.num_kept(target)].tolist()):
            operations = space.choices[kind][source, target]
            pairs.append((operations[torch.randint(len(operations), (), generator=random)], source))
        return tuple(pair for pair in pairs if pair[0] != "none")

    cells = {
        kind: CellGenotype(tuple(draw_node(kind, target) for target in space.targets), space.outputs)
        for kind in space.cell_kinds
    }
    return Genotype(cells, space.name)


def neighbors(genotype: Genotype, space: Space) -> Iterator[Genotype]:
    """All cells that differ from these in one place.

    An edge that takes the place of another one gets every operation that it may have if it may not have the other one's.

    Args:
        genotype: cells of the space whose nodes have distinct sources.
        space: the space.
    """
    for kind in space.cell_kinds:
        for node, target in enumerate(space.targets):
            own = _places(genotype, space, kind, node)
            for source, name in own.items():
                changed = [(source, other) for other in space.choices[kind][source, target] if other != name]
                for free in sorted(set(range(target)) - own.keys()):
                    possible = space.choices[kind][free, target]
                    changed += [(free, other) for other in ([name] if name in possible else possible)]
                others = {key: value for key, value in own.items() if key != source}
                for place, operation in changed:
                    yield _with_node(genotype, kind, node, others | {place: operation})


def mutate(genotype: Genotype, space: Space, random: Random) -> Genotype:
    """Change one place: draw a kind of cell, a node, one of its places, and the change, as :func:`mutate_each` does.

    In NAS-Bench-201 this is the mutation of NATS-Bench. Its places are not equally likely: the only one of the first node has
    probability 1/3, and those of the last node have 1/9 each.

    Args:
        genotype: cells of the space whose nodes have distinct sources.
        space: the space.
        random: source of all draws.
    """
    kind, node = random.choice(space.cell_kinds), random.randrange(space.num_nodes)
    own = _places(genotype, space, kind, node)
    return _with_node(genotype, kind, node, _changed(space, kind, node, own, random.choice(list(own)), random))


def mutate_each(genotype: Genotype, space: Space, rate: float, random: Random) -> Genotype:
    """Change every place with the same probability.

    Operation and source change with probability 1/2 each; if only one of them can change, it does. Every other operation and
    every free source is equally likely. A place at which nothing can change stays.

    Args:
        genotype: cells of the space whose nodes have distinct sources.
        space: the space.
        rate: probability of a change at each place.
        random: source of all draws.
    """
    for kind in space.cell_kinds:
        for node in range(space.num_nodes):
            own = _places(genotype, space, kind, node)
            drawn = [source for source in own if random.random() < rate]
            for source in drawn:
                own = _changed(space, kind, node, own, source, random)
            if drawn:
                genotype = _with_node(genotype, kind, node, own)
    return genotype


def exchange(first: Genotype, second: Genotype, rate: float, random: Random) -> tuple[Genotype, Genotype]:
    """Both cells after an exchange of nodes with all their edges; a node is exchanged in all kinds of cells, or in none.

    Args:
        first: cells of a space.
        second: cells of the same space with as many nodes.
        rate: probability with which a node is exchanged.
        random: source of all draws.
    """
    nodes = len(next(iter(first.cells.values())).nodes)
    taken = [random.random() < rate for _ in range(nodes)]

    def mixed(own: Genotype, other: Genotype) -> Genotype:
        cells = {}
        for kind, cell in own.cells.items():
            pairs = zip(cell.nodes, other.cells[kind].nodes, taken, strict=True)
            cells[kind] = CellGenotype(tuple(theirs if take else mine for mine, theirs, take in pairs), cell.concat)
        return Genotype(cells, own.space)

    return mixed(first, second), mixed(second, first)


def _places(genotype: Genotype, space: Space, kind: str, node: int) -> Places:
    own = {source: name for name, source in genotype.cells[kind].nodes[node]}
    if space.kept_edges is None:
        return {source: own.get(source, "none") for source in range(space.num_inputs + node)}
    return own


def _changed(space: Space, kind: str, node: int, own: Places, source: int, random: Random) -> Places:
    """The places of a node after a change at one of them; see :func:`mutate_each`."""
    target, name, choices = space.num_inputs + node, own[source], space.choices[kind]
    others = [other for other in choices[source, target] if other != name]
    free = [other for other in range(target) if other not in own]
    if free and (not others or random.random() < 0.5):
        place = random.choice(free)
        possible = choices[place, target]
        changed = {place: name if name in possible else random.choice(possible)}
    elif others:
        changed = {source: random.choice(others)}
    else:
        return own
    return {key: value for key, value in own.items() if key != source} | changed


def _with_node(genotype: Genotype, kind: str, node: int, places: Places) -> Genotype:
    """The same cells with other places in one node."""
    cell = genotype.cells[kind]
    pairs = tuple((name, source) for source, name in sorted(places.items()) if name != "none")
    nodes = (*cell.nodes[:node], pairs, *cell.nodes[node + 1 :])
    return Genotype({**genotype.cells, kind: CellGenotype(nodes, cell.concat)}, genotype.space)
