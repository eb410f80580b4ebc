"""Times taken in turn, and what is made of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Seconds = dict[str, float]
"""Seconds of a step by its parts, e.g. alphas, weights and both."""
Step = Callable[[], Mapping[str, float]]
"""Does one step of something, and returns the seconds of its parts."""
Say = Callable[[str], None]


class Clock:
    """Wall-clock seconds; on a GPU only after what was asked of it is done."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


@dataclass(frozen=True)
class Times:
    """The seconds of one part of a step, round by round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def over(self, first: Times) -> float:
        """How many times as long as the first one, by the medians."""
        return self.median / first.median

    def spread_over(self, first: Times) -> tuple[float, float]:
        """The smallest and the largest ratio within a round: how far the ratio of the medians is to be trusted."""
        ratios = [mine / others for mine, others in zip(self.rounds, first.rounds, strict=True)]
        return min(ratios), max(ratios)


def in_turn(steps: Mapping[str, Step], repeats: int, warmup: int, say: Say) -> dict[str, dict[str, Times]]:
    """Do every step once a round, in the same order, and keep the rounds after the warm-up.

    Args:
        steps: by label.
        repeats: rounds that count.
        warmup: rounds before them.
        say: told how far it is.

    Returns:
        Label -> part -> times.
    """
    kept: dict[str, dict[str, list[float]]] = {label: {} for label in steps}
    for number in range(warmup + repeats):
        kind, of = ("warm-up", warmup) if number < warmup else ("round", repeats)
        for label, step in steps.items():
            say(f"{kind} {number + 1 if number < warmup else number - warmup + 1} of {of}: {label}")
            seconds = step()
            if number >= warmup:
                for part, value in seconds.items():
                    kept[label].setdefault(part, []).append(value)
    return {label: {part: Times(tuple(values)) for part, values in parts.items()} for label, parts in kept.items()}
