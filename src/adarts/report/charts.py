"""Line charts as plain geometry; `templates/chart.html` draws them as SVG in the colors of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

Value = float | int | None


@dataclass(frozen=True)
class Series:
    """Values by epoch; a None is a gap. The CSS class gives the color and dashes."""

    label: str
    css: str
    values: Sequence[Value]


@dataclass(frozen=True)
class Line:
    """A series as it is drawn; `last` is its last value in words."""

    label: str
    css: str
    last: str
    path: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class Frame:
    """Size of a chart and the room around its plot, in SVG units (pixels at the usual width)."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    num_ticks: int
    small: bool = False


LARGE = Frame(width=380, height=210, left=46, right=12, top=10, bottom=26, num_ticks=4)
SMALL = Frame(width=190, height=108, left=30, right=6, top=8, bottom=18, num_ticks=2, small=True)


@dataclass(frozen=True)
class Rule:
    """A marked level: a value, and where it is drawn its position; above an alarm lies a warning zone."""

    level: float
    words: str
    alarm: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: what is shown.
        frame: its size.
        lines: the series.
        x_ticks, y_ticks: positions and labels.
        rule: a marked level.
        shade: the end of a shaded part at the left.
    """

    title: str
    frame: Frame
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    rule: Rule | None
    shade: float | None


def number(value: float) -> str:
    """A value of a chart in words."""
    return f"{value:.3g}"


def percent(value: float) -> str:
    """A share in words."""
    return f"{100 * value:.3g} %"


def ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """About `count` round numbers that lie between two values."""
    raw = max(high - low, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    step = max(math.ceil(step), 1) if whole else step
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [index * step for index in range(first, last + 1)]


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    epochs: Sequence[int],
    frame: Frame = LARGE,
    words: Callable[[float], str] = number,
    high: float | None = None,
    whole: bool = False,
    rule: Rule | None = None,
    shade_until: int = 0,
) -> Chart | None:
    """Lay out a line chart over the epochs; its axis holds the zero, so that small changes look small.

    Args:
        title: what is shown.
        series: the lines, each with a value for every epoch.
        epochs: the numbers of the epochs.
        frame: its size.
        words: how values are written.
        high: the axis reaches at least to this value; None takes it from the data.
        whole: the values are counts.
        rule: a level to mark.
        shade_until: the epochs before this one are shaded.

    Returns:
        The chart, or None where no series has a value.
    """
    known = [value for one in series for value in one.values if value is not None]
    if not known:
        return None
    bottom = min(0.0, *known)
    top = max([*known, *([] if high is None else [high]), *([rule.level] if rule else [])])
    if high is None:
        top += (
            0.05 * (top - bottom) or 1.0
        )  # the highest line keeps off the border; nothing but zeros gets an axis to 1
    first, last = epochs[0], max(epochs[-1], epochs[0] + 1)
    right, base = frame.width - frame.right, frame.height - frame.bottom

    def x(epoch: float) -> float:
        return frame.left + (right - frame.left) * (epoch - first) / (last - first)

    def y(value: float) -> float:
        return base - (base - frame.top) * (value - bottom) / (top - bottom)

    return Chart(
        title=title,
        frame=frame,
        lines=[_line(one, [x(epoch) for epoch in epochs], y, words) for one in series],
        x_ticks=[(x(value), f"{value:.0f}") for value in ticks(first, epochs[-1], frame.num_ticks, whole=True)],
        y_ticks=[(y(value), words(value)) for value in ticks(bottom, top, frame.num_ticks, whole=whole)],
        rule=replace(rule, level=y(rule.level)) if rule else None,
        shade=x(min(shade_until, last)) if shade_until > first else None,
    )


def _line(series: Series, xs: Sequence[float], y: Callable[[float], float], words: Callable[[float], str]) -> Line:
    """A path that is broken at gaps; a value between two gaps becomes a dot."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(xs, series.values, strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((x, y(value)))
    path = " ".join("M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in piece) for piece in pieces if len(piece) > 1)
    last = next((words(value) for value in reversed(series.values) if value is not None), "none")
    return Line(series.label, series.css, last, path, [piece[0] for piece in pieces if len(piece) == 1])
