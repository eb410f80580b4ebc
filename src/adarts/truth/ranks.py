"""Rank correlations: 1 for the same order, -1 for the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy import stats


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho. None if it is undefined: for fewer than two values, or if all values of one side are equal."""
    return _statistic(stats.spearmanr, first, second)


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b. None as for :func:`spearman`."""
    return _statistic(stats.kendalltau, first, second)


def _statistic(measure: Any, first: Sequence[float], second: Sequence[float]) -> float | None:
    defined = len(set(first)) > 1 and len(set(second)) > 1
    return float(measure(first, second).statistic) if defined else None
