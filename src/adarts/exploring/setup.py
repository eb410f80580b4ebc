"""What is explored, and what comes out of it."""

from __future__ import annotations

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
class Exploration:
    """What is explored.

    Attributes:
        searchers: names of the searchers.
        budget: what a run may spend.
        evaluator: name of the evaluator.
        runs: runs of each searcher.
        seed: seed of the first run; each run derives its own.
        data: data set of the accuracies.
        noise: put the noise of a single training back into the scores.
        options: options of the searchers: ``population`` for all of them, which must know it, or ``cars.population`` for one.

    Raises:
        ConfigError: an unknown name, a searcher that does not support the space, or settings that do not fit together.
    """

    searchers: Sequence[str]
    budget: Budget
    evaluator: str = "nasbench201"
    runs: int = 100
    seed: int = 0
    data: str = "cifar10"
    noise: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        evaluator = get_evaluator(self.evaluator)
        if self.runs < 1 or not self.searchers or len(set(self.searchers)) < len(self.searchers):
            raise ConfigError("an exploration needs at least one run, and one or more searchers, each named once")
        if self.budget.in_seconds and not evaluator.simulates:
            raise ConfigError(
                f"the evaluator '{self.evaluator}' counts no seconds; give a number of evaluations, such as --budget 200"
            )
        self.evaluate(0)
        for option in self.options:
            if "." in option and not option.startswith(tuple(f"{name}." for name in self.searchers)):
                raise ConfigError(
                    f"option {option[:60]!r} is of no searcher in this exploration: {', '.join(self.searchers)}"
                )
        for name in self.searchers:
            self.searcher(name, 0)

    def evaluate(self, seed: int) -> TableEvaluator:
        """The evaluator of a run."""
        return get_evaluator(self.evaluator)(self.data, seed if self.noise else None)

    def searcher(self, name: str, seed: int) -> Searcher:
        """The searcher of a run, with its options."""
        mine, given = f"{name}.", self.options.items()
        shared = {option: value for option, value in given if "." not in option}
        own = {option.removeprefix(mine): value for option, value in given if option.startswith(mine)}
        return create_searcher(name, get_space(get_evaluator(self.evaluator).space), seed, shared | own)

    @property
    def amounts(self) -> list[float]:
        """Where a curve is read: equal steps up to the budget."""
        steps = _STEPS if self.budget.in_seconds else min(_STEPS, int(self.budget.amount))
        return [self.budget.amount * (step + 1) / steps for step in range(steps)]

    def settings(self) -> dict[str, Any]:
        """What must be equal to continue an exploration: all but the searchers and the number of runs."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("searchers", "runs")}
        return {"format": "adarts-explore", "version": 1, **kept}

    def run(self, name: str, number: int) -> Record:
        """One run of a searcher; all its random numbers follow from the seed and its number, the same for all searchers."""
        seed = derive_seed(self.seed, "explore", number)
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
    setup: Exploration
    records: Mapping[str, Sequence[Record]]
    exact: Sequence[tuple[float, float]] | None
