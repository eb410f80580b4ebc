"""The loop of ask and tell, with random search."""

import pytest

from adarts.config.settings import Settings
from adarts.errors import ConfigError
from adarts.searchers import SEARCHERS, Score, Searcher, Trial, create_searcher, get_searcher, register
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


def test_a_searcher_is_created_with_its_options_and_refuses_others(monkeypatch):
    class Picky(get_searcher("random")):
        class Options(Settings):
            population: int = 10

        @classmethod
        def supports(cls, space):
            return "it needs one kind of cell" if len(space.cell_kinds) > 1 else None

    monkeypatch.setitem(SEARCHERS.known, "picky", Picky)
    assert create_searcher("picky", NASBENCH201, 3).options.population == 10
    assert create_searcher("picky", NASBENCH201, 3, {"population": 20}).options.population == 20
    for message, space, options in (
        ("searcher 'picky' does not support the space 'darts': it needs one kind of cell", DARTS, {}),
        ("searcher 'picky' has no option 'populaton'; did you mean 'population'?", NASBENCH201, {"populaton": 1}),
        ("searcher 'picky': option population: must be", NASBENCH201, {"population": "many"}),
    ):
        with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
            create_searcher("picky", space, 0, options)
    with pytest.raises(ConfigError, match="searcher 'random' has no option 'rate', it has none"):
        create_searcher("random", DARTS, 0, {"rate": 1})
