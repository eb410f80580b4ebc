"""Numbers in words, and figures over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """A figure over seeds; one seed has no deviation.

    Attributes:
        n: seeds.
        mean: over them.
        sd: sample standard deviation, with n - 1.
    """

    n: int
    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of these values, one at least."""
        values = list(values)
        return cls(len(values), statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)

    def words(self, form: Callable[[float], str], unit: str = "") -> str:
        """``41.2 ± 0.8 %``; without a deviation for one seed."""
        deviation = "" if self.sd is None else f" ± {form(self.sd)}"
        return f"{form(self.mean)}{deviation}{unit}"


def count(value: float) -> str:
    """A large number with three figures, e.g. 2.90 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{value:g}"


def duration(seconds: float) -> str:
    """A time, e.g. 1 h 23 min."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def shown(value: Any) -> str:
    """A setting's value as the command line spells it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
