"""CARS: its selection against an example by hand, its generations, and its front."""

from dataclasses import replace
from random import Random

import pytest

from adarts.searchers import Score, Trial, create_searcher
from adarts.searchers.cars import fronts, select
from adarts.spaces import DARTS, NASBENCH201, SPACES, random_genotype

POINTS = {"A": (95, 5), "B": (93, 2), "C": (90, 1), "D": (94, 4), "E": (92, 8), "F": (89, 9), "G": (91, 3)}
TRIALS = [
    Trial(number, random_genotype(DARTS, number), Score(*map(float, (value, 0)), size))
    for number, (value, size) in enumerate(POINTS.values())
]


def named(indices):
    return ["".join(list(POINTS)[index] for index in sorted(front)) for front in indices]


def test_fronts_by_hand():
    assert named(fronts([(value, -size) for value, size in POINTS.values()])) == ["ABCD", "EG", "F"]
    assert named(fronts([(value, size) for value, size in POINTS.values()])) == ["AEF", "D", "BG", "C"]
    assert fronts([(1, 1), (1, 1), (1, 0)]) == [[0, 1], [2]], "equal points do not beat each other"


def test_the_selection_by_hand():
    """The first stage is ABCD and AEF; NSGA-II would keep G before F, the large cell of low accuracy."""
    assert named([[trial.number for trial in select(TRIALS, 6, Random(0))]]) == ["ABCDEF"]
    assert len(select(TRIALS, 7, Random(0))) == 7
    drawn = [trial.number for seed in range(600) for trial in select(TRIALS, 4, Random(seed))]
    shares = [drawn.count(number) / 600 for number in range(7)]
    assert shares == pytest.approx([4 / 6] * 6 + [0], abs=0.06), "too many in a stage are drawn with equal probability"


@pytest.mark.parametrize("anew", [True, False])
def test_the_generations(anew):
    """8 parents and 8 children; later on, the parents are asked again if their scores do not stay."""
    searcher = create_searcher("cars", NASBENCH201, 0, {"population": 8, "anew": anew})
    first, asked = list(searcher.population), []
    for number in range(48):
        asked.append(searcher.ask(number))
        searcher.tell(Trial(number, asked[-1], Score(float(number), 0, number)))
    assert asked[:8] == first
    assert len(set(asked[:16])) == 16
    if anew:
        assert set(asked[16:24]) <= set(asked[:16]), "the survivors are asked again"
        assert not set(asked[24:32]) & set(asked[:16]), "the children are new"
    else:
        assert not set(asked[16:24]) & set(asked[:16]), "only the children are asked"
    assert len(searcher.population) == 8


def test_the_front_has_the_latest_scores_and_no_equal_points():
    searcher = create_searcher("cars", NASBENCH201, 0, {"population": 3})
    scores = [(90, 5), (80, 3), (70, 4), (80, 3), (95, 9), (60, 1)]
    for number, (value, size) in enumerate(scores):
        searcher.tell(Trial(number, searcher.queue[number], Score(value, 0, size)))
        if number == 4:
            front = searcher.found()
            told = searcher.queue[:5]
    assert [told.index(cell) for cell in front] in ([1, 0, 4], [3, 0, 4])


def test_a_space_with_fewer_cells_than_a_generation(monkeypatch):
    """64 cells: the population has them all, there are no children, and the cells are scored again and again."""
    small = replace(NASBENCH201, name="genetic64", title="64 cells", operations=("none", "nor_conv_3x3"))
    monkeypatch.setitem(SPACES.known, small.name, small)
    for anew in (True, False):
        searcher = create_searcher("cars", small, 0, {"population": 80, "anew": anew})
        for number in range(200):
            searcher.tell(Trial(number, searcher.ask(number), Score(float(number % 7), 0, number % 5)))
        assert len(searcher.population) == 64
