"""The flat variant of Hierarchical Evolution: first cells made of identities, a tournament among all."""

import pytest

from adarts.searchers import Score, Trial, create_searcher
from adarts.searchers.hierarchical import identities
from adarts.spaces import DARTS, NASBENCH201, SPACES, get_space, neighbors


@pytest.mark.parametrize("name", sorted(SPACES.known))
def test_the_cell_of_identities(name):
    space = get_space(name)
    cells = identities(space)
    cells.require_within(space)
    if name in ("darts", "nasbench201", "s2", "s3"):
        assert cells.operations == {"skip_connect"}


def test_the_first_cells_are_mutated_identities():
    for mutations in (1, 2):
        searcher = create_searcher("hierarchical", NASBENCH201, 0, {"mutations": mutations})
        near = {searcher.ask(number) in set(neighbors(identities(NASBENCH201), NASBENCH201)) for number in range(20)}
        assert near == ({True} if mutations == 1 else {True, False})


def test_the_tournament_grows_and_nobody_dies():
    """With 5 % of 40 cells, the best one, which is the oldest, is in the sample of two with probability 1/20."""
    searcher = create_searcher("hierarchical", DARTS, 0, {"mutations": 5})
    for number in range(40):
        searcher.tell(Trial(number, searcher.ask(number), Score(float(-number))))
    of_the_best = set(neighbors(searcher.trials[0].genotype, DARTS))
    share = sum(searcher.ask(number) in of_the_best for number in range(40, 2040)) / 2000
    assert share == pytest.approx(1 / 20, abs=0.02)
