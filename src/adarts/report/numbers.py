"""Formatted numbers, and statistics over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds; a single seed has no deviation.

    Attributes:
        n: number of seeds.
        mean: mean over the seeds.
        sd: sample standard deviation (divisor n - 1), or None.
    """

    n: int
    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        values = list(values)
        return cls(len(values), statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)

    def words(self, form: Callable[[float], str], unit: str = "") -> str:
        """Format as ``41.2 ± 0.8 %``, or without a deviation for one seed."""
        deviation = "" if self.sd is None else f" ± {form(self.sd)}"
        return f"{form(self.mean)}{deviation}{unit}"


def count(value: float) -> str:
    """Format a large number with three digits, e.g. 2.90 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """Format a duration, e.g. 1 h 23 min."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def shown(value: Any) -> str:
    """Format a setting's value as on the command line."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
