"""Statistics over seeds: means with intervals, paired differences, variances of two sources, rank correlations.

All intervals are at 95 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Level of all intervals."""

_RESAMPLES = 2000
_LEAST = 4  # pairs; a rank correlation of fewer says nothing


@dataclass(frozen=True)
class Sample:
    """Values over seeds.

    Attributes:
        values: at least one value.
    """

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Sample | None:
        """The sample of all known values; None if there is none."""
        known = tuple(value for value in values if value is not None)
        return cls(known) if known else None

    @property
    def n(self) -> int:
        """Number of values."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (divisor n - 1); None for a single value."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's t interval of the mean; None for a single value."""
        if self.sd is None:
            return None
        half = float(stats.t.ppf((1 + LEVEL) / 2, self.n - 1)) * self.sd / math.sqrt(self.n)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Paired:
    """Differences between two rows of a table, seed by seed.

    Attributes:
        differences: the row minus the baseline, for every common seed.
        p: p-value of the paired t test, two-sided; None for fewer than two seeds, or if all differences are equal.
    """

    differences: Sample
    p: float | None


def paired(row: Mapping[int, float], baseline: Mapping[int, float]) -> Paired | None:
    """Compare two rows by their common seeds; None if they have none.

    Args:
        row, baseline: values by seed.
    """
    seeds = sorted(row.keys() & baseline.keys())
    differences = Sample.of(row[seed] - baseline[seed] for seed in seeds)
    if differences is None:
        return None
    varies = len(set(differences.values)) > 1
    p = float(stats.ttest_rel([row[s] for s in seeds], [baseline[s] for s in seeds]).pvalue) if varies else None
    return Paired(differences, p)


@dataclass(frozen=True)
class Variances:
    """Two sources of variance of a test accuracy.

    Attributes:
        search: standard deviation between the cells of searches that differ only in the seed; 0 if the trainings explain all.
        training: standard deviation between trainings of the same cells.
        cells: number of cells.
        trainings: number of trainings.
    """

    search: float
    training: float
    cells: int
    trainings: int


def variances(rows: Iterable[Sequence[Sequence[float]]]) -> Variances | None:
    """Tell the variance between searches from the variance between trainings, by a nested analysis of variance.

    The estimates equate mean squares and their expectations (Searle, Casella, McCulloch: Variance Components, 1992, chapter 3),
    with trainings in cells in rows; the rows of the table are fixed.

    Args:
        rows: for each row, for each of its cells, the values of its trainings. Rows and cells without values are left out.

    Returns:
        None if no cells were trained twice, or no row has two cells.
    """
    kept = [[np.array(cell, dtype=float) for cell in row if len(cell)] for row in rows]
    kept = [row for row in kept if row]
    cells = [cell for row in kept for cell in row]
    trainings = sum(map(len, cells))
    within, between = trainings - len(cells), len(cells) - len(kept)
    if within < 1 or between < 1:
        return None
    mean_within = sum(((cell - cell.mean()) ** 2).sum() for cell in cells) / within
    squares, per_cell = 0.0, float(trainings)
    for row in kept:
        everything = np.concatenate(row)
        squares += sum(len(cell) * (cell.mean() - everything.mean()) ** 2 for cell in row)
        per_cell -= sum(len(cell) ** 2 for cell in row) / len(everything)
    of_search = (squares / between - mean_within) / (per_cell / between)
    return Variances(math.sqrt(max(0.0, of_search)), math.sqrt(mean_within), len(cells), trainings)


@dataclass(frozen=True)
class Correlation:
    """Rank correlations of pairs.

    Attributes:
        n: number of pairs.
        rho: Spearman's rho.
        tau: Kendall's tau-b.
        low, high: bootstrap interval of rho: percentiles over resampled pairs, with a fixed seed.
    """

    n: int
    rho: float
    tau: float
    low: float
    high: float

    def words(self) -> str:
        """In one sentence."""
        return (
            f"Spearman's rho {self.rho:.2f} (95 % bootstrap interval {self.low:.2f} to {self.high:.2f}), "
            f"Kendall's tau {self.tau:.2f}, n = {self.n}"
        )


def correlation(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    """Rank correlations of at least four pairs; None if there are fewer, or if one side does not vary."""
    if len(pairs) < _LEAST or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    x, y = np.array(pairs, dtype=float).T
    drawn = np.random.default_rng(0).integers(len(x), size=(_RESAMPLES, len(x)))
    ranks = [stats.rankdata(side[drawn], axis=1) - (len(x) + 1) / 2 for side in (x, y)]
    sizes = [np.sqrt((side**2).sum(1)) for side in ranks]
    defined = (sizes[0] > 0) & (sizes[1] > 0)  # a resample of one pair alone has no ranks
    rhos = (ranks[0] * ranks[1]).sum(1)[defined] / (sizes[0] * sizes[1])[defined]
    low, high = np.quantile(rhos, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Correlation(
        len(x), float(stats.spearmanr(x, y).statistic), float(stats.kendalltau(x, y).statistic), low, high
    )
