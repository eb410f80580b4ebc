"""The loop of ask and tell, with random search."""

import pytest

from adarts.searchers import Score, Searcher, Trial, get_searcher, register
from adarts.spaces import DARTS, NASBENCH201


@pytest.mark.parametrize("space", [DARTS, NASBENCH201], ids=lambda space: space.name)
def test_the_best_of_all_trials_is_found_also_after_a_resume(space):
    searcher = get_searcher("random")(space, 3)
    for number, value in enumerate((1.0, 5.0, 3.0, 5.0)):
        searcher.tell(Trial(number, searcher.ask(number), Score(value, 0.5, 10)))
    best, second, *_ = searcher.found()
    assert (best, second) == (searcher.ask(1), searcher.ask(3))
    resumed = get_searcher("random")(space, 3)
    resumed.load_state_dict(searcher.state_dict())
    assert resumed.trials == searcher.trials
    assert resumed.found() == searcher.found()


def test_seeds_and_numbers_give_other_cells():
    proposals = {get_searcher("random")(DARTS, seed).ask(number) for seed in range(5) for number in range(5)}
    assert len(proposals) == 25


def test_a_class_that_is_no_searcher_is_refused():
    with pytest.raises(TypeError, match="not a subclass"):
        register(int)
    with pytest.raises(TypeError, match="needs a class attribute info"):
        register(type("Mine", (Searcher,), {}))
