"""What the trials of a search are worth: its best cell so far by what was spent, and the front of accuracy and size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from adarts.exploring.explore import Budget
from adarts.searchers import Trial
from adarts.spaces import Genotype
from adarts.truth.evaluators import Corner

Accuracy = Callable[[Genotype], float]
"""The true accuracy of cells, in percent."""


@dataclass(frozen=True)
class Trace:
    """The best cell so far, after each evaluation.

    Attributes:
        spent: seconds or evaluations that were spent by then.
        accuracy: true accuracy of the cell with the highest score so far, in percent.
    """

    spent: list[float]
    accuracy: list[float]

    def at(self, amounts: Sequence[float]) -> list[float]:
        """The accuracy when these amounts were spent, linear between two evaluations, as in NATS-Bench.

        Before the end of the first evaluation, it is that of the first cell.
        """
        return [float(value) for value in np.interp(amounts, self.spent, self.accuracy)]


def trace(trials: Sequence[Trial], accuracy: Accuracy, budget: Budget) -> Trace:
    """Follow the cell with the highest score, the first one among equals."""
    result, spent, best = Trace([], []), 0.0, trials[0]
    known = accuracy(best.genotype)
    for trial in trials:
        spent += budget.spent(trial)
        if trial.score.value > best.score.value:
            best, known = trial, accuracy(trial.genotype)
        result.spent.append(spent)
        result.accuracy.append(known)
    return result


def hypervolume(trials: Sequence[Trial], accuracy: Accuracy, corner: Corner) -> float:
    """The area that the found front dominates, of accuracy and size, both scaled to 0 to 1 within their ranges.

    The front consists of the trials to which no other one is superior in score and size. Its cells count by their true accuracy.
    """
    area = reached = 0.0
    found = front(trials)
    for index, trial in enumerate(found):
        share = (accuracy(trial.genotype) - corner.lowest) / (corner.highest - corner.lowest)
        reached = max(reached, share)
        until = found[index + 1].score.size if index + 1 < len(found) else corner.largest
        area += reached * (until - trial.score.size) / (corner.largest - corner.smallest)
    return area


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials to which no other one is superior in score and size, smallest first; one of equal ones."""
    found: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.score.size, -trial.score.value)):
        if not found or trial.score.value > found[-1].score.value:
            found.append(trial)
    return found
