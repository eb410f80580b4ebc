"""Neighbors of cells differ from them in one edge, in every space."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adarts.spaces import DARTS, NASBENCH201, SPACES, get_space, neighbors, random_genotype

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
