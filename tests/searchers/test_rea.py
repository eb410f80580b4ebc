"""Aging evolution: the oldest cell dies, the sample's best is the parent, and the child is its mutation."""

import pytest

from adarts.config.loading import validated
from adarts.searchers import Score, Trial, create_searcher
from adarts.searchers.rea import AgingEvolution
from adarts.spaces import NASBENCH201, neighbors


def told(values, **options):
    searcher = create_searcher("rea", NASBENCH201, 0, options)
    for number, value in enumerate(values):
        searcher.tell(Trial(number, searcher.ask(number), Score(value)))
    return searcher


def test_the_oldest_cell_dies_even_if_it_is_the_best():
    """With 3 alive and everybody in the sample, the parent is the best of the last three."""
    values = [9.0, 1.0, 2.0, 3.0, 0.0]
    searcher = told(values, population=3, sample=3, replacement=False)
    first, *_, parent, _ = (trial.genotype for trial in searcher.trials)
    children = {searcher.ask(number) for number in range(5, 40)}
    assert children <= set(neighbors(parent, NASBENCH201))
    assert not children <= set(neighbors(first, NASBENCH201))
    assert searcher.found()[0] == first, "the result is the best of all, also of the dead"


def test_a_sample_with_replacement_may_miss_the_best():
    """Three draws out of four cells miss the best one with probability (3/4)^3, without replacement with 1/4."""
    shares = {}
    for replacement in (True, False):
        searcher = told([4.0, 1.0, 2.0, 3.0], population=4, sample=3, replacement=replacement, identity=1.0)
        best = searcher.trials[0].genotype
        shares[replacement] = sum(searcher.ask(number) != best for number in range(4, 2004)) / 2000
    assert shares[True] == pytest.approx((3 / 4) ** 3, abs=0.04)
    assert shares[False] == pytest.approx(1 / 4, abs=0.04)


def test_the_published_values():
    assert validated(AgingEvolution.Options, {}).model_dump() == {
        "population": 10,
        "sample": 3,
        "replacement": True,
        "identity": 0.0,
    }
