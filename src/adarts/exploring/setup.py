"""What is explored, and what comes out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from adarts.errors import ConfigError
from adarts.exploring.explore import Budget, explore
from adarts.exploring.measures import hypervolume, trace
from adarts.searchers import Searcher, create_searcher
from adarts.seeding import derive_seed
from adarts.spaces import get_space
from adarts.truth.evaluators import TableEvaluator, get_evaluator

_STEPS = 100  # of a curve

Record = Mapping[str, Any]
"""What is kept of a run."""


@dataclass(frozen=True)
class Setup(ABC):
    """What is explored.

    Attributes:
        searchers: names of the searchers.
        budget: what a run may spend.
        runs: runs of each searcher.
        seed: seed of the first run; each run derives its own.
        data: data set of the accuracies.
        options: options of the searchers: ``population`` for all of them, which must know it, or ``cars.population`` for one.

    Raises:
        ConfigError: an unknown name, a searcher that does not support the space, or settings that do not fit together.
    """

    searchers: Sequence[str]
    budget: Budget
    runs: int = 100
    seed: int = 0
    data: str = "cifar10"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.runs < 1 or not self.searchers or len(set(self.searchers)) < len(self.searchers):
            raise ConfigError("an exploration needs at least one run, and one or more searchers, each named once")
        for option in self.options:
            if "." in option and not option.startswith(tuple(f"{name}." for name in self.searchers)):
                raise ConfigError(
                    f"option {option[:60]!r} is of no searcher in this exploration: {', '.join(self.searchers)}"
                )
        for name in self.searchers:
            self.searcher(name, 0)

    @property
    @abstractmethod
    def space_name(self) -> str:
        """Name of the search space."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Title of the page."""

    @property
    @abstractmethod
    def figure(self) -> str:
        """What the table shows, in one line."""

    @property
    @abstractmethod
    def axis(self) -> str:
        """What the curves show."""

    @property
    def highest(self) -> float | None:
        """Accuracy of the best cell, drawn as a line; None if it is not known."""
        return None

    def exact(self) -> list[tuple[float, float]] | None:
        """Mean and standard deviation of what random search finds, exact, for every amount of a curve; None if not known."""
        return None

    def searcher(self, name: str, seed: int) -> Searcher:
        """The searcher of a run, with its options."""
        mine, given = f"{name}.", self.options.items()
        shared = {option: value for option, value in given if "." not in option}
        own = {option.removeprefix(mine): value for option, value in given if option.startswith(mine)}
        return create_searcher(name, get_space(self.space_name), seed, shared | own)

    def seed_of(self, run: int) -> int:
        """The seed of a run; all its random numbers follow from it. It is the same for all searchers."""
        return derive_seed(self.seed, "explore", run)

    @property
    def amounts(self) -> list[float]:
        """Where a curve is read: equal steps up to the budget."""
        steps = _STEPS if self.budget.in_seconds else min(_STEPS, int(self.budget.amount))
        return [self.budget.amount * (step + 1) / steps for step in range(steps)]

    def settings(self) -> dict[str, Any]:
        """All settings but the searchers and the number of runs, as plain data."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("searchers", "runs")}
        return {"format": "adarts-explore", "version": 1, **kept}


@dataclass(frozen=True)
class Exploration(Setup):
    """What is explored in a table.

    Attributes:
        evaluator: name of the evaluator.
        noise: put the noise of a single training back into the scores.
    """

    evaluator: str = "nasbench201"
    noise: bool = False

    def __post_init__(self) -> None:
        evaluator = get_evaluator(self.evaluator)
        if self.budget.in_seconds and not evaluator.simulates:
            raise ConfigError(
                f"the evaluator '{self.evaluator}' counts no seconds; give a number of evaluations, such as --budget 200"
            )
        self.evaluate(0)
        super().__post_init__()

    @property
    def space_name(self) -> str:
        return get_evaluator(self.evaluator).space

    @property
    def title(self) -> str:
        return f"Searchers on {self.evaluator}, {self.budget}"

    @property
    def figure(self) -> str:
        evaluator = self.evaluate(0)
        judge, noise = evaluator.judge, ", with the noise of a single training" if self.noise else ""
        return (
            f"{judge.word} {judge.figure}, on {judge.data_sets[self.data]} in percent, of the cell with the best "
            f"{evaluator.shows}{noise}, after {self.budget}"
        )

    @property
    def axis(self) -> str:
        judge = self.evaluate(0).judge
        return f"{judge.word.capitalize()} accuracy on {judge.data_sets[self.data]} (%)"

    @property
    def highest(self) -> float | None:
        return self.evaluate(0).corner.highest if get_evaluator(self.evaluator).simulates else None

    def exact(self) -> list[tuple[float, float]] | None:
        evaluator = self.evaluate(0)
        each = evaluator.mean_cost if self.budget.in_seconds else 1.0
        return evaluator.expected_best([amount / each for amount in self.amounts])

    def evaluate(self, seed: int) -> TableEvaluator:
        """The evaluator of a run."""
        return get_evaluator(self.evaluator)(self.data, seed if self.noise else None)

    def run(self, name: str, number: int) -> Record:
        """One run of a searcher."""
        seed = self.seed_of(number)
        evaluate = self.evaluate(seed)
        trials = explore(self.searcher(name, seed), evaluate, self.budget)
        best = evaluate.judge.of(max(trials, key=lambda trial: trial.score.value).genotype)
        curve = trace(trials, evaluate.accuracy, self.budget).at(self.amounts)
        return {
            "searcher": name,
            "run": number,
            "evaluations": len(trials),
            "accuracy": round(curve[-1], 4),
            "hypervolume": round(hypervolume(trials, evaluate.accuracy, evaluate.corner), 5),
            "found": best.arch,
            "beyond": best.beyond,
            "curve": [round(value, 3) for value in curve],
        }


@dataclass(frozen=True)
class Outcome:
    """Result of an exploration.

    Attributes:
        folder: its folder.
        setup: what was explored.
        records: by searcher, the records of its runs, in their order.
        exact: mean and standard deviation of the accuracy of random search, exact, for every amount of the curves; None if not
            known.
    """

    folder: Path
    setup: Setup
    records: Mapping[str, Sequence[Record]]
    exact: Sequence[tuple[float, float]] | None
