"""Genetic CNN: the roulette, the crossover of pairs, and the mutation of the others."""

import pytest

from adarts.searchers import Score, Trial, create_searcher
from adarts.searchers.genetic import GeneticCnn
from adarts.spaces import NASBENCH201


def second_generation(values, seed=0, **options):
    searcher = create_searcher("genetic", NASBENCH201, seed, {"population": len(values), **options})
    first = list(searcher.population)
    for number, value in enumerate(values):
        assert searcher.ask(number) == first[number]
        searcher.tell(Trial(number, first[number], Score(value)))
    return first, searcher.population


def test_the_roulette():
    """Without changes a generation is drawn: probabilities 0, 1/6, 2/6 and 3/6, so the worst cell is never drawn."""
    counts = [0] * 4
    for seed in range(500):
        first, second = second_generation([50.0, 51.0, 52.0, 53.0], seed, crossover=0.0, mutation=0.0)
        for cell in second:
            counts[first.index(cell)] += 1
    assert [count / 2000 for count in counts] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6], abs=0.035)


def test_equal_scores_are_drawn_with_equal_probability():
    drawn = [cell for seed in range(20) for cell in second_generation([7.0] * 6, seed, mutation=0.0)[1]]
    assert len(set(drawn)) > 60


def test_a_crossed_pair_keeps_its_nodes():
    first, second = second_generation([1.0, 2.0] * 5, crossover=1.0, exchange=0.5)
    nodes = [{cell.cells["normal"].nodes[node] for cell in first} for node in range(3)]
    assert set(second) - set(first)
    for cell in second:
        assert all(pairs in nodes[node] for node, pairs in enumerate(cell.cells["normal"].nodes))


def test_the_rate_of_the_mutation():
    """80 % of the cells mutate, and an edge of these changes with 5 %: on average 0.24 of six edges."""
    changes, cells = 0, 0
    for seed in range(40):
        first, second = second_generation([0.0] * 19 + [1.0], seed, crossover=0.0)
        parent = first[-1].by_edge("normal")
        for cell in second:
            own = cell.by_edge("normal")
            changes += sum(own.get(edge) != parent.get(edge) for edge in NASBENCH201.edges)
            cells += 1
    assert changes / cells == pytest.approx(6 * 0.8 * 0.05, abs=0.06)


def test_the_published_values():
    assert GeneticCnn.Options().model_dump() == {
        "population": 20,
        "crossover": 0.2,
        "exchange": 0.2,
        "mutation": 0.8,
        "change": 0.05,
    }
