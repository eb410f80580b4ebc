"""How far two orders of the same things agree: from 1, the same order, over 0 to -1, the reverse."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho: the correlation of the ranks, where equal values share the mean of theirs.

    None where it is not defined: with fewer than two values, or where one side has no order at all.
    """
    x, y = (ranks - ranks.mean() for ranks in (_mean_ranks(first), _mean_ranks(second)))
    return _share((x * y).sum(), (x * x).sum(), (y * y).sum())


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b: how many pairs stand in the same order less how many in the other, as a share of those that differ.

    With s the sign of a difference, over all pairs: sum(s_x s_y) / sqrt(sum(s_x^2) sum(s_y^2)). Pairs that are equal on one
    side count for neither. None as for :func:`spearman`.
    """
    x, y = _values(first), _values(second)
    both = only_x = only_y = torch.zeros((), dtype=torch.float64)
    for place in range(len(x) - 1):  # row by row: all pairs of 15,625 cells at once would need gigabytes
        sign_x, sign_y = ((values[place] - values[place + 1 :]).sign() for values in (x, y))
        both = both + (sign_x * sign_y).sum()
        only_x = only_x + sign_x.abs().sum()
        only_y = only_y + sign_y.abs().sum()
    return _share(both, only_x, only_y)


def _mean_ranks(values: Sequence[float]) -> Tensor:
    """Ranks from 1 up; equal values share the mean of the ranks that they take."""
    _, place, counts = _values(values).unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = (last - (counts - 1) / 2)[place]
    return ranks


def _values(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _share(both: Tensor, first: Tensor, second: Tensor) -> float | None:
    whole = (first * second).sqrt()
    return float(both / whole) if whole > 0 else None
