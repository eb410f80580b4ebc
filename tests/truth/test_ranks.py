"""Rank correlations, against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adarts.truth.ranks import kendall, spearman

NUMBERS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("first", "second", "rho", "tau"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 99], 1.0, 1.0),  # the order counts, not the distances
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0, -1.0),
        # Ranks 1 2 3 4 and 2 1 4 3: d^2 = 1 each, rho = 1 - 6*4 / (4*15); of six pairs four agree and two do not.
        ([1, 2, 3, 4], [2, 1, 4, 3], 1 - 24 / 60, (4 - 2) / 6),
        # Ranks 1, 2.5, 2.5, 4 and 1 2 3 4: the deviations -1.5 0 0 1.5 and -1.5 -.5 .5 1.5 give 4.5 / sqrt(4.5 * 5).
        # Of six pairs five differ on the left, all on the right, and all five agree.
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / math.sqrt(4.5 * 5), 5 / math.sqrt(5 * 6)),
        # Left ties: (0,1); right ties: (1,2). Pairs: 01 0,- ; 02 -,- ; 12 -,0: one agrees, two differ on either side.
        ([1, 1, 2], [1, 2, 2], 0.5, 1 / math.sqrt(2 * 2)),
    ],
)
def test_by_hand(first: list[float], second: list[float], rho: float, tau: float) -> None:
    assert spearman(first, second) == pytest.approx(rho)
    assert kendall(first, second) == pytest.approx(tau)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, 2], [7, 7])])
def test_without_an_order_there_is_no_correlation(first: list[float], second: list[float]) -> None:
    assert spearman(first, second) is None
    assert kendall(first, second) is None


@given(NUMBERS)
def test_order_of_the_things_and_monotone_maps_change_nothing(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    for measure in (spearman, kendall):
        value = measure(first, second)
        if value is None:
            continue
        assert -1 - 1e-9 <= value <= 1 + 1e-9
        assert measure(second, first) == pytest.approx(value)
        assert measure(first[::-1], second[::-1]) == pytest.approx(value)
        assert measure([math.exp(x) for x in first], second) == pytest.approx(value)
        assert measure([-x for x in first], second) == pytest.approx(-value)
