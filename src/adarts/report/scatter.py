"""Scatter plots as SVG files of their own, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adarts.report.charts import ticks
from adarts.report.palette import OPERATIONS, SURFACES
from adarts.report.templates import ENVIRONMENT

_WIDTH, _HEIGHT = 560.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 64.0, 46.0
_TICKS = 6
_LOOKS = [OPERATIONS[name] for name in ("sep_conv_3x3", "skip_connect", "max_pool_3x3", "dil_conv_5x5")]


@dataclass(frozen=True)
class Dot:
    """A point of the plot: where it is, its kind as the legend names it, and its name."""

    x: float
    y: float
    kind: str
    name: str


def scatter_svg(title: str, x_title: str, y_title: str, dots: Sequence[Dot]) -> str:
    """Draw a scatter plot.

    Args:
        title: what is shown.
        x_title, y_title: what the axes are.
        dots: the points; the most frequent kind is drawn as small discs, first; the others, up to three, are large shapes.
    """
    kinds = sorted({dot.kind for dot in dots}, key=lambda kind: (-sum(dot.kind == kind for dot in dots), kind))
    x, x_ticks = _axis([dot.x for dot in dots], _LEFT, _WIDTH - _RIGHT)
    y, y_ticks = _axis([dot.y for dot in dots], _HEIGHT - _BOTTOM, _TOP)
    marks = [
        {"x": x(dot.x), "y": y(dot.y), "kind": kinds.index(dot.kind), "name": f"{dot.name}: {dot.x:.2f}, {dot.y:.2f}"}
        for dot in sorted(dots, key=lambda dot: kinds.index(dot.kind))
    ]
    return ENVIRONMENT.get_template("scatter.svg").render(
        title=title,
        x_title=x_title,
        y_title=y_title,
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        top=_TOP,
        base=_HEIGHT - _BOTTOM,
        x_ticks=[(x(value), f"{value:g}") for value in x_ticks],
        y_ticks=[(y(value), f"{value:g}") for value in y_ticks],
        kinds=kinds,
        marks=marks,
        looks=_LOOKS,
        surfaces=SURFACES,
    )


def _axis(values: Sequence[float], start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """From a value to its place, and the round values to mark; both ends of the axis lie a little beyond the data."""
    room = 0.05 * (max(values) - min(values)) or 1.0
    low, high = min(values) - room, max(values) + room
    marked = [value for value in ticks(low, high, _TICKS) if low <= value <= high]
    return lambda value: start + (end - start) * (value - low) / (high - low), marked
