"""Moves stay in every space; neighbors and mutations differ in one edge; the mutation of NATS-Bench has its probabilities."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adarts.spaces import (
    DARTS,
    NASBENCH201,
    SPACES,
    exchange,
    get_space,
    mutate,
    mutate_each,
    neighbors,
    random_genotype,
)

SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize(("space", "number"), [(DARTS, 120), (NASBENCH201, 24)])
def test_the_number_of_neighbors(space, number):
    """DARTS, each kind: 8 edges with 6 other operations, and 2 (t - 2) other sources into the nodes t = 2 to 5."""
    found = list(neighbors(random_genotype(space, 0), space))
    assert len(found) == len(set(found)) == number


@pytest.mark.parametrize("name", sorted(SPACES.known))
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_a_neighbor_is_a_cell_of_the_space_that_differs_in_one_edge(name, seed):
    space = get_space(name)
    cells = random_genotype(space, seed)
    for neighbor in neighbors(cells, space):
        neighbor.require_within(space)
        differences = []
        for kind in space.cell_kinds:
            own, other = cells.by_edge(kind), neighbor.by_edge(kind)
            differences += [edge for edge in own.keys() | other.keys() if own.get(edge) != other.get(edge)]
            if space.kept_edges is not None:
                assert len(other) == len(own)
        assert len({target for _, target in differences}) == 1
        assert len(differences) == 1 or (space.kept_edges is not None and len(differences) == 2)


@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_every_cell_is_a_neighbor_of_its_neighbors(seed):
    cells = random_genotype(DARTS, seed)
    for neighbor in list(neighbors(cells, DARTS))[::7]:
        assert cells in set(neighbors(neighbor, DARTS))


@pytest.mark.parametrize("name", sorted(SPACES.known))
def test_a_mutation_is_a_neighbor(name):
    space, random = get_space(name), Random(0)
    for seed in range(5):
        cells = random_genotype(space, seed)
        others = set(neighbors(cells, space))
        assert {mutate(cells, space, random) for _ in range(20)} <= others


def test_the_edges_of_the_mutation_of_nats_bench():
    """A node, then an edge into it: 1/3 for the edge 0>1, 1/6 for those into node 2, 1/9 for those into node 3."""
    random, draws = Random(1), 9000
    cells = random_genotype(NASBENCH201, 0)
    before, edges, operations = cells.by_edge("normal"), Counter(), Counter()
    for _ in range(draws):
        after = mutate(cells, NASBENCH201, random).by_edge("normal")
        (edge,) = (edge for edge in NASBENCH201.edges if before.get(edge) != after.get(edge))
        edges[edge] += 1
        operations[after.get(edge, "none")] += edge == (0, 1)
    for (source, target), count in edges.items():
        assert count / draws == pytest.approx(1 / 3 / target, abs=0.015), (source, target)
    del operations[before.get((0, 1), "none")]
    assert len(operations) == 4
    assert all(count / edges[0, 1] == pytest.approx(1 / 4, abs=0.035) for count in operations.values())


def test_the_changes_of_a_mutation_in_the_space_of_darts():
    """Half the changes are operations and half are sources; node 2 has only two sources, so its operations change always."""
    random, cells, changes = Random(2), random_genotype(DARTS, 0), Counter()
    for _ in range(4000):
        other = mutate(cells, DARTS, random)
        for kind in DARTS.cell_kinds:
            for target, own, new in zip(DARTS.targets, cells.cells[kind].nodes, other.cells[kind].nodes, strict=True):
                if own != new:
                    changes[kind, target, {source for _, source in own} != {source for _, source in new}] += 1
    assert ("normal", 2, True) not in changes
    for kind in DARTS.cell_kinds:
        assert changes[kind, 2, False] / 4000 == pytest.approx(1 / 8, abs=0.025)
        for target in (3, 4, 5):
            for of_source in (False, True):
                assert changes[kind, target, of_source] / 4000 == pytest.approx(1 / 16, abs=0.02)


@pytest.mark.parametrize("name", sorted(SPACES.known))
def test_changes_at_every_place_and_exchanges_stay_in_the_space(name):
    space, random = get_space(name), Random(0)
    for seed in range(5):
        first, second = random_genotype(space, seed), random_genotype(space, seed + 100)
        for genotype in (mutate_each(first, space, 0.5, random), *exchange(first, second, 0.5, random)):
            genotype.require_within(space)
        assert mutate_each(first, space, 0.0, random) == first
        assert exchange(first, second, 0.0, random) == (first, second)
        assert exchange(first, second, 1.0, random) == (second, first)


def test_the_rate_of_changes():
    """A place of NAS-Bench-201 that changes has another operation, so the places that differ are those that were drawn."""
    random, cells, differ = Random(3), random_genotype(NASBENCH201, 1), 0
    before = cells.by_edge("normal")
    for _ in range(500):
        after = mutate_each(cells, NASBENCH201, 0.2, random).by_edge("normal")
        differ += sum(before.get(edge) != after.get(edge) for edge in NASBENCH201.edges)
    assert differ / 3000 == pytest.approx(0.2, abs=0.025)


def test_a_node_is_exchanged_in_all_kinds_of_cells():
    first, second = random_genotype(DARTS, 0), random_genotype(DARTS, 1)
    for seed in range(10):
        for node in range(DARTS.num_nodes):
            parents, children = (
                [{kind: cells.cells[kind].nodes[node] for kind in DARTS.cell_kinds} for cells in pair]
                for pair in ((first, second), exchange(first, second, 0.5, Random(seed)))
            )
            assert children in (parents, parents[::-1])
