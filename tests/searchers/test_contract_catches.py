"""Searchers that are broken, each in one place, and the test of the contract that says so."""

from __future__ import annotations

import random
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from adarts.errors import DataError
from adarts.searchers import BestOfAll, Searcher, SearcherInfo, Trial
from adarts.searchers.random_search import RandomSearch
from adarts.searchers.rea import AgingEvolution
from adarts.spaces import DARTS, Genotype, mutate, random_genotype
from adarts.testing import SearcherContract

INFO = SearcherInfo("broken", "Broken", 2026, "none", "nothing")


class OtherSpace(RandomSearch):
    """Proposes cells of one space only."""

    def ask(self, number: int) -> Genotype:
        return random_genotype(DARTS, number)


class Counting(BestOfAll):
    """Counts its proposals, so asking again gives another one."""

    info = INFO
    count = 0

    def ask(self, number: int) -> Genotype:
        self.count += 1
        return random_genotype(self.space, self.count)


class Global(BestOfAll):
    """Draws from the random state that everybody shares."""

    info = INFO

    def ask(self, number: int) -> Genotype:
        return mutate(random_genotype(self.space, self.seed), self.space, random)  # type: ignore[arg-type]


class Seedless(BestOfAll):
    """Has only one run."""

    info = INFO

    def ask(self, number: int) -> Genotype:
        return mutate(random_genotype(self.space, number), self.space, Random(number))


class Forgetful(AgingEvolution):
    """Saves the second half of its population only."""

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        return {"trials": state["trials"][len(state["trials"]) // 2 :]}


class Shared(BestOfAll):
    """Saves its list of numbers itself, to which it goes on adding."""

    info = INFO

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.numbers: list[int] = []

    ask = RandomSearch.ask

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self.numbers.append(trial.number)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "numbers": self.numbers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.numbers = list(state["numbers"])


class Inventive(RandomSearch):
    """Finds a cell that nobody has scored."""

    def found(self) -> list[Genotype]:
        return [random_genotype(self.space, 12345), *super().found()] if self.trials else []


class Unsupportive(RandomSearch):
    """Refuses spaces without a word."""

    @classmethod
    def supports(cls, space: Any) -> str | None:
        return None if space == DARTS else ""


class Hasty(AgingEvolution):
    """Says that its proposals do not depend on each other."""

    def block(self, number: int) -> int:
        return 8


CASES = [
    (OtherSpace, "test_proposals_are_cells_of_the_space", "is of the space 'darts'"),
    (Counting, "test_asking_changes_nothing", "asked twice"),
    (Global, "test_proposals_follow_from_the_seed", "the same seed gives other proposals"),
    (Seedless, "test_proposals_follow_from_the_seed", "another seed gives the same proposals"),
    (Hasty, "test_a_block_can_be_asked_together", "depend on each other's scores"),
    (RandomSearch, "test_it_learns", "where a high score is good"),
    (Forgetful, "test_a_resumed_run_is_the_uninterrupted_one", "resumed, number"),
    (Shared, "test_a_state_stays_when_the_searcher_goes_on", "state.numbers"),
    (Inventive, "test_what_is_found_was_told", "never told"),
    (Unsupportive, "test_a_space_that_it_does_not_support_is_refused_with_a_reason", "no reason"),
]


@pytest.mark.parametrize(("searcher", "test", "message"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_searcher_is_caught(searcher: type[Searcher], test: str, message: str) -> None:
    contract = type("Broken", (SearcherContract,), {"searcher": searcher})()
    with pytest.raises((AssertionError, DataError), match=message):
        getattr(contract, test)()
