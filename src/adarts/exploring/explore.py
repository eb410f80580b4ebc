"""The loop of a searcher and an evaluator."""

from __future__ import annotations

from dataclasses import dataclass

from adarts.engine import parse_time_limit
from adarts.errors import ConfigError
from adarts.searchers import Evaluate, Searcher, Trial


@dataclass(frozen=True)
class Budget:
    """What a search may spend.

    Attributes:
        amount: seconds of cost, or number of evaluations.
        in_seconds: whether it counts seconds.
    """

    amount: float
    in_seconds: bool

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``20000s``, ``30m``, ``5h`` or ``1h30m`` as seconds, and ``200`` as evaluations.

        Raises:
            ConfigError: the text is neither, or not positive.
        """
        word = text.strip()
        try:
            amount = float(int(word)) if word.isdecimal() and len(word) < 10 else parse_time_limit(word) or 0.0
        except ConfigError:
            amount = 0.0
        if amount <= 0:
            raise ConfigError(
                f"budget {text[:40]!r} is no positive amount; write it like 20000s, 5h, or 200 for evaluations"
            )
        return cls(amount, not word.isdecimal())

    def spent(self, trial: Trial) -> float:
        """What a trial takes of the budget."""
        return trial.score.cost if self.in_seconds else 1.0

    def __str__(self) -> str:
        return f"{self.amount:,.0f} {self.unit}"

    @property
    def unit(self) -> str:
        """What is counted."""
        return "seconds" if self.in_seconds else "evaluations"


def explore(searcher: Searcher, evaluate: Evaluate, budget: Budget) -> list[Trial]:
    """Ask, evaluate and tell until the budget is spent; the last evaluation may end past it.

    Args:
        searcher: the searcher, at its start.
        evaluate: scores the cells.
        budget: seconds or evaluations.

    Raises:
        ConfigError: the budget is in seconds, and an evaluation has no cost.
    """
    trials: list[Trial] = []
    spent = 0.0
    while spent < budget.amount:
        number = len(trials)
        genotype = searcher.ask(number)
        trial = Trial(number, genotype, evaluate(genotype, number))
        if budget.spent(trial) <= 0:
            raise ConfigError(
                "the evaluator counts no seconds, so its budget must be a number of evaluations, such as 200"
            )
        searcher.tell(trial)
        trials.append(trial)
        spent += budget.spent(trial)
    return trials
