from __future__ import annotations

import re

import pytest

from adarts.models import OPERATIONS as KNOWN
from adarts.report.charts import LARGE, Rule, Series, line_chart, percent, ticks
from adarts.report.numbers import count, duration
from adarts.report.palette import OPERATIONS, OTHERS, SURFACES, css_class, look


def luminance(color: str) -> float:
    channels = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", [*OPERATIONS.values(), *OTHERS])
def test_operations_can_be_read_on_both_grounds(style) -> None:
    assert contrast(style.light, SURFACES[0]) >= 4.5
    assert contrast(style.dark, SURFACES[1]) >= 4.5


def test_the_operations_of_the_space_differ() -> None:
    assert len({(style.light, style.dash) for style in OPERATIONS.values()}) == len(OPERATIONS)
    assert all(look(name) for name in KNOWN)


def test_css_classes_are_harmless() -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", css_class('sep"} <b> é'))
    assert look("an operation of tomorrow") == look("an operation of tomorrow")


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 1, False, [0, 0.25, 0.5, 0.75, 1]),
        (0, 4, True, [0, 1, 2, 3, 4]),
        (0, 1, True, [0, 1]),
        (0, 79, True, [0, 20, 40, 60]),
    ],
)
def test_ticks_are_round(low: float, high: float, whole: bool, expected: list[float]) -> None:
    assert ticks(low, high, 4, whole=whole) == pytest.approx(expected)


def test_a_chart_fills_its_frame() -> None:
    chart = line_chart("", [Series("a", "x", [0.0, 1.0])], epochs=[0, 1], high=1.0, words=percent)
    assert chart is not None
    left, right = LARGE.left, LARGE.width - LARGE.right
    assert chart.lines[0].path == f"M{left:.1f},{LARGE.height - LARGE.bottom:.1f} L{right:.1f},{LARGE.top:.1f}"
    assert chart.lines[0].last == "100 %"


def test_gaps_break_lines_and_leave_dots() -> None:
    chart = line_chart("", [Series("a", "x", [None, 1, 2, None, 3, None])], epochs=range(6))
    assert chart is not None
    assert chart.lines[0].path.count("M") == 1
    assert len(chart.lines[0].dots) == 1
    assert chart.lines[0].last == "3"


def test_a_chart_without_values_is_none() -> None:
    assert line_chart("", [Series("a", "x", [None, None])], epochs=[0, 1]) is None


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 1e9])
def test_one_epoch_of_any_value_can_be_drawn(value: float) -> None:
    chart = line_chart("", [Series("a", "x", [value])], epochs=[0], shade_until=15, rule=Rule(2, "limit"))
    assert chart is not None
    ((x, y),) = chart.lines[0].dots
    assert LARGE.left <= x <= LARGE.width
    assert LARGE.top <= y <= LARGE.height - LARGE.bottom
    assert chart.rule is not None


def test_words() -> None:
    assert [count(2_897_902), count(469e6), count(999), count(12_345)] == ["2.90 M", "469 M", "999", "12.3 k"]
    assert [duration(0.5), duration(59.7), duration(75), duration(4980)] == [
        "0.5 s",
        "59.7 s",
        "1 min 15 s",
        "1 h 23 min",
    ]
