"""Decisions make every cell of every space, and tell which ones led to it."""

import pytest

from adarts.spaces import DARTS, NASBENCH201, SPACES, get_space, random_genotype
from adarts.spaces.decisions import Decisions


@pytest.mark.parametrize("name", sorted(SPACES.known))
def test_decisions_and_cells_belong_together(name):
    space = get_space(name)
    decisions = Decisions(space)
    for seed in range(20):
        cells = random_genotype(space, seed)
        taken = decisions.taken(cells)
        assert all(0 <= option < decisions.sizes[decision] for decision, option in taken.items())
        asked = []
        assert decisions.build(lambda decision: asked.append(decision) or taken[decision]) == cells  # noqa: B023
        assert sorted(asked) == sorted(taken)


def test_the_decisions_of_two_spaces():
    assert Decisions(NASBENCH201).sizes == (5,) * 6
    of_darts = Decisions(DARTS)
    sizes = dict(zip(of_darts.names, of_darts.sizes, strict=True))
    assert len(sizes) == 2 * (14 + 3)
    assert [sizes[f"normal {target}"] for target in (3, 4, 5)] == [3, 6, 10]
    assert sizes["reduction 4>5"] == 7
