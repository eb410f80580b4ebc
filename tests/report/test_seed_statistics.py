"""Statistics over seeds against scipy, against formulas by hand, and on data whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from adarts.report.statistics import Sample, correlation, paired, variances


def test_a_sample_has_the_t_interval_of_its_mean_and_one_value_has_none() -> None:
    values = [93.1, 93.8, 92.9, 94.0]
    sample = Sample.of([*values, None])
    assert sample is not None and sample.n == 4
    expected = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert sample.interval == pytest.approx(expected)
    one = Sample.of([93.1])
    assert one is not None and (one.sd, one.interval) == (None, None)
    assert Sample.of([None]) is None


def test_paired_differences_use_common_seeds_alone() -> None:
    row, baseline = {0: 94.0, 1: 93.0, 2: 95.0, 7: 0.0}, {2: 94.5, 1: 92.0, 0: 93.9, 8: 99.0}
    found = paired(row, baseline)
    assert found is not None
    assert found.differences.values == pytest.approx((0.1, 1.0, 0.5))
    assert found.p == pytest.approx(stats.ttest_rel([94, 93, 95], [93.9, 92, 94.5]).pvalue)
    assert paired({0: 1.0}, {1: 1.0}) is None
    equal = paired({0: 1.0, 1: 2.0}, {0: 0.0, 1: 1.0})
    assert equal is not None and equal.p is None


def test_variances_of_a_balanced_design_are_those_of_the_textbook() -> None:
    rows = [[[1.0, 3.0], [5.0, 7.0], [3.0, 5.0]], [[10.0, 12.0], [11.0, 11.0], [15.0, 13.0]]]
    cells = np.array(rows)
    within = cells.var(axis=2, ddof=1).mean()
    between = 2 * cells.mean(axis=2).var(axis=1, ddof=1).mean()
    found = variances(rows)
    assert found is not None and (found.cells, found.trainings) == (6, 12)
    assert found.training == pytest.approx(math.sqrt(within))
    assert found.search == pytest.approx(math.sqrt((between - within) / 2))


def test_variances_are_recovered_from_uneven_data_whatever_the_rows_are() -> None:
    random = np.random.default_rng(0)
    rows = []
    for level in (50, 90):
        centers = level + 2.0 * random.standard_normal(400)
        rows.append(
            [center + 0.5 * random.standard_normal(3 if index % 4 == 0 else 1) for index, center in enumerate(centers)]
        )
    found = variances([[list(cell) for cell in row] for row in rows])
    assert found is not None
    assert found.search == pytest.approx(2.0, rel=0.1) and found.training == pytest.approx(0.5, rel=0.1)


def test_variances_need_cells_that_were_trained_twice_and_a_row_with_two_cells() -> None:
    assert variances([[[1.0], [2.0]], [[3.0], []]]) is None
    assert variances([[[1.0, 2.0]], [[3.0]], []]) is None


def test_a_rank_correlation_has_an_interval_around_it() -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal(40)
    noisy = correlation(list(zip(x, x + random.standard_normal(40), strict=True)))
    assert noisy is not None and noisy.n == 40
    assert noisy.low < noisy.rho < noisy.high and noisy.low > 0 and noisy.high < 1
    perfect = correlation([(1, 2), (2, 3), (3, 9), (4, 10), (5, 11)])
    assert perfect is not None and (perfect.rho, perfect.tau, perfect.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("pairs", [[(1, 2), (2, 3), (3, 1)], [(1, 5), (2, 5), (3, 5), (4, 5)]])
def test_too_few_or_equal_values_have_no_rank_correlation(pairs: list[tuple[float, float]]) -> None:
    assert correlation(pairs) is None
