"""Small charts side by side as an SVG file of its own: one for each method, in it a line for each seed, and their mean."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from adarts.report.charts import ticks
from adarts.report.palette import OPERATIONS, SURFACES
from adarts.report.reading import by_epoch
from adarts.report.templates import ENVIRONMENT

_COLUMNS, _ACROSS, _DOWN = 3, 200, 120
_LEFT, _TOP, _RIGHT, _BOTTOM = 44, 84, 16, 58
"""Room beside, above all, at the right end, and below each."""
_WORDS = 700
"""Room for title and legend, however few panels there are."""


@dataclass(frozen=True)
class Panel:
    """A title, and the values of each seed by epoch, from the first epoch on; a search may end early."""

    title: str
    seeds: Sequence[Sequence[float]]


def panels_svg(title: str, legend: str, panels: Sequence[Panel], *, low: float, high: float, rule: float) -> str:
    """Draw panels that share one axis of values.

    Args:
        title: what is shown.
        legend: how it is to be read.
        panels: at least one, each with a value at least.
        low, high: ends of the axis; what lies below is drawn at the lower one, so that one collapse does not flatten the rest.
        rule: a level to mark.
    """
    drawn = [_drawn(number, panel, low, high) for number, panel in enumerate(panels)]
    rows, columns = -(-len(panels) // _COLUMNS), min(len(panels), _COLUMNS)
    return ENVIRONMENT.get_template("panels.svg").render(
        title=title,
        legend=legend,
        width=max(columns * (_LEFT + _ACROSS) + _RIGHT, _WORDS),
        height=_TOP + rows * (_DOWN + _BOTTOM),
        across=_ACROSS,
        down=_DOWN,
        panels=drawn,
        y_ticks=[(_height(value, low, high), f"{value:g}") for value in ticks(low, high, 4)],
        rule=_height(rule, low, high),
        look=OPERATIONS["sep_conv_3x3"],
        surfaces=SURFACES,
    )


def _drawn(number: int, panel: Panel, low: float, high: float) -> dict[str, object]:
    """Where a panel lies, and the paths in it."""
    row, column = divmod(number, _COLUMNS)
    epochs = max(map(len, panel.seeds))
    step = _ACROSS / max(epochs - 1, 1)

    def path(values: Sequence[float]) -> str:
        return "M" + " L".join(f"{step * i:.1f},{_height(value, low, high):.1f}" for i, value in enumerate(values))

    return {
        "title": panel.title,
        "x": _LEFT + column * (_ACROSS + _LEFT),
        "y": _TOP + row * (_DOWN + _BOTTOM),
        "x_ticks": [(step * (epoch - 1), f"{epoch:.0f}") for epoch in ticks(1, epochs, 4, whole=True)],
        "lines": [path(values) for values in panel.seeds if values],
        "mean": path([statistics.fmean(values) for _, values in by_epoch(panel.seeds)]),
    }


def _height(value: float, low: float, high: float) -> float:
    return _DOWN * (high - min(max(value, low), high)) / (high - low)
