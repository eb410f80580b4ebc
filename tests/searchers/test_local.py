"""Local search climbs, and starts anew on a peak."""

from adarts.searchers import Score, Trial, create_searcher
from adarts.spaces import NASBENCH201, neighbors
from adarts.testing import share_of_one_operation


def climb(trials, **options):
    searcher = create_searcher("local", NASBENCH201, 1, options)
    for number in range(trials):
        cell = searcher.ask(number)
        searcher.tell(Trial(number, cell, share_of_one_operation(NASBENCH201, cell)))
    return searcher


def test_all_neighbors_then_the_best_one():
    searcher = climb(25)
    first, *around = (trial.genotype for trial in searcher.trials)
    assert set(around) == set(neighbors(first, NASBENCH201))
    best = max(searcher.trials, key=lambda trial: trial.score.value)
    assert searcher.center == best
    assert searcher.ask(25) in set(neighbors(best.genotype, NASBENCH201))


def test_all_neighbors_are_a_block():
    assert [climb(trials).block(trials) for trials in (0, 1, 5, 24, 25)] == [1, 24, 20, 1, len(climb(25).around)]
    assert climb(5, first=True).block(5) == 1


def test_the_first_better_neighbor():
    searcher = climb(12, first=True)
    better = next(trial for trial in searcher.trials if trial.score.value > searcher.trials[0].score.value)
    assert searcher.trials[better.number + 1].genotype in set(neighbors(better.genotype, NASBENCH201))
    assert better.number < 11


def test_the_peak_is_found_and_left():
    """The best cell has the operation on all six edges; it is at most six steps away from any cell."""
    searcher = climb(160)
    values = [trial.score.value for trial in searcher.trials]
    peak = values.index(100.0)
    assert peak <= 6 * 24
    around = set(neighbors(searcher.trials[peak].genotype, NASBENCH201))
    after = [trial.genotype for trial in searcher.trials[peak + 1 :]]
    assert not set(after) <= around, "it starts anew"


def test_no_cell_is_asked_twice_as_a_neighbor():
    cells = [trial.genotype for trial in climb(140).trials]
    assert len(set(cells)) == len(cells)


def test_equal_scores_are_a_peak():
    searcher = create_searcher("local", NASBENCH201, 0)
    for number in range(25):
        searcher.tell(Trial(number, searcher.ask(number), Score(5.0)))
    assert searcher.center is None
    assert searcher.ask(25) not in {trial.genotype for trial in searcher.trials}
