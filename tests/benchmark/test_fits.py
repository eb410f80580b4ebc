from __future__ import annotations

import pytest

from adarts.benchmark.fits import line, power_law


@pytest.mark.parametrize("exponent", [-1.0, 0.5, 2.0])
def test_the_exponent_of_a_power_law_is_found(exponent: float) -> None:
    xs = [1.0, 2.0, 4.0, 16.0]
    fit = power_law(xs, [3 * x**exponent for x in xs])
    assert fit.slope == pytest.approx(exponent)
    assert fit.explained == pytest.approx(1)


def test_an_offset_flattens_the_exponent() -> None:
    """Why an exponent below 1 is no error: the stem and the cells' inputs do not shrink with K."""
    assert 0.3 < power_law([1, 2, 4, 8], [10 + x * 5 for x in (1, 2, 4, 8)]).slope < 0.9


def test_a_line_and_how_much_it_explains() -> None:
    exact = line([8, 16, 32], [100 + 3 * x for x in (8, 16, 32)])
    assert (exact.offset, exact.slope, exact.explained) == pytest.approx((100, 3, 1))
    assert line([1, 2, 3, 4], [1, 9, 2, 8]).explained < 0.5
