"""Straight lines through measured points."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """y = offset + slope * x, and the share of the variance of y that it explains (1 where y does not vary)."""

    offset: float
    slope: float
    explained: float


def line(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """The least-squares line through at least two points with different x."""
    slope, offset = statistics.linear_regression(xs, ys)
    mean = statistics.fmean(ys)
    total = sum((y - mean) ** 2 for y in ys)
    rest = sum((y - offset - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    return Line(offset, slope, 1 - rest / total if total else 1.0)


def power_law(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """The line through the logarithms: its slope is the exponent p of y ~ x^p."""
    return line([math.log(x) for x in xs], [math.log(y) for y in ys])
