"""Charts: curves by epoch and scatter plots, for the page and for separate files. A chart is plain data until it is drawn."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from adarts.report.drawing import Drawing, clean, our_settings
from adarts.report.palette import ALARM, GRID, GROUND, INK, MUTED, SHADE, Look, series_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

T = TypeVar("T")
Value = float | int | None

_LETTER, _LINE = 6.4, 16.0
"""Upper estimate of the mean width of a letter, and height of a text line, in SVG units (pixels at normal size)."""


@dataclass(frozen=True)
class Series:
    """A curve: the values of each run by epoch; None leaves a gap.

    Several runs with different seeds are drawn as their mean, with a band.

    Attributes:
        label: its name in the legend.
        look: color and dashes.
        runs: for each run, its values.
        inside: share of the runs within the band, e.g. 0.5 for the middle half; 1 is a band from the lowest to the highest value.
    """

    label: str
    look: Look
    runs: Sequence[Sequence[Value]]
    inside: float = 1.0

    def known(self) -> list[list[float]]:
        """For each epoch, the values of the runs that have one."""
        return [[value for value in values if value is not None] for _, values in by_epoch(self.runs)]

    def means(self) -> list[Value]:
        """For each epoch, the mean over the runs that have a value."""
        return [statistics.fmean(values) if values else None for values in self.known()]

    def band(self) -> list[tuple[int, float, float]]:
        """Each epoch with a value, with the lower and the upper end of the band."""
        ends = [(1 - self.inside) / 2, (1 + self.inside) / 2]
        return [(epoch, *np.quantile(values, ends).tolist()) for epoch, values in enumerate(self.known()) if values]


@dataclass(frozen=True)
class Rule:
    """A marked level; an alarm also shades the zone above it."""

    level: float
    words: str = ""
    alarm: bool = False


def number(value: float) -> str:
    """Format a value, with thousands separators."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def percent(value: float) -> str:
    """Format a share in percent."""
    return f"{100 * value:.3g} %"


@dataclass(frozen=True)
class Chart:
    """Curves by epoch. Unless `low` is given, the axis includes zero, so that small changes look small.

    Attributes:
        title: title of the chart.
        series: the curves.
        words: formats a value.
        low, high: minimum range of the axis; None takes it from the data. Values below a given `low` are drawn at `low`.
        whole: whether the values are counts.
        rule: a level to mark.
        shade_until: shade the epochs before this one.
        places: where the values stand on the horizontal axis, rising from 0 or more; None numbers them from 0, as epochs.
        doubling: whether the horizontal axis doubles from one place to the next, with a number at each.
        across: title of the horizontal axis.
        title_look: color of the title, e.g. of the operation that it names.
    """

    title: str
    series: Sequence[Series]
    words: Callable[[float], str] = number
    low: float | None = None
    high: float | None = None
    whole: bool = False
    rule: Rule | None = None
    shade_until: int = 0
    title_look: Look = INK
    places: Sequence[float] | None = None
    doubling: bool = False
    across: str = ""

    @property
    def values(self) -> list[float]:
        """All values of all curves."""
        return [value for one in self.series for run in one.runs for value in run if value is not None]


def by_epoch(runs: Sequence[Sequence[T]]) -> Iterator[tuple[int, list[T]]]:
    """Each epoch with the values of the runs that reached it; methods may end early."""
    for epoch in range(max(map(len, runs), default=0)):
        yield epoch, [run[epoch] for run in runs if epoch < len(run)]


@our_settings()
def draw(
    charts: Sequence[Chart | None],
    columns: int = 1,
    heading: str = "",
    remark: str = "",
    size: tuple[float, float] = (350, 150),
) -> Drawing:
    """Draw one chart, or several side by side with a shared value axis and one legend.

    Args:
        charts: at least one chart; None leaves a place empty.
        columns: number of charts per row.
        heading: heading of the drawing; a single chart uses its title by default.
        remark: a line below the heading.
        size: width and height of each plot, without titles and axis labels; for a single chart, the width includes the labels of
            the value axis.
    """
    shown = [chart for chart in charts if chart is not None]
    alone = len(charts) == 1
    heading = heading or shown[0].title if alone else heading
    low = min(_ends(chart)[0] for chart in shown)
    high = max(_ends(chart)[1] for chart in shown)
    left = _LETTER * max(len(shown[0].words(value)) for value in (low, high, (low + high) / 3)) + 14
    size = (size[0] - left if alone else size[0], size[1])
    margin = 14 if alone and shown[0].places is None else 22
    across, down = size[0] + margin, size[1] + (30 if alone else 28)
    rows = -(-len(charts) // columns)
    width = max(left + columns * across, _LETTER * max(len(heading), len(remark)) + 16)
    labels = [f"{one.label} {_last(shown[0], one)}" if alone else one.label for one in shown[0].series]
    per_row = max(1, int(width / (_LETTER * max(map(len, labels)) + 44)))
    texts = [text for text in (heading, remark) if text]
    legend = -(-len(labels) // per_row) if any(labels) else 0
    head = _LINE * (len(texts) + legend) + 16
    below = _LINE if alone and shown[0].across else 0
    drawing = Drawing(width, head + rows * down + (4 if alone else 20) + below)
    for line, text in enumerate(texts):
        drawing.text(8, 15 + _LINE * line, text, MUTED if text == remark else INK, "normal" if line else "bold")
    for place, chart in enumerate(charts):
        if chart is None:
            continue
        row, column = divmod(place, columns)
        axes = drawing.axes(left + column * across, head + row * down + (0 if alone else 20), *size)
        curves = _fill(axes, chart, low, high)
        if not alone:
            is_lowest = place + columns >= len(charts)
            axes.tick_params(labelleft=column == 0, labelbottom=is_lowest)
            look = chart.title_look.light
            axes.text(0, 1.06, clean(chart.title), transform=axes.transAxes, color=look)
    if legend:
        drawing.legend(curves, labels, per_row, 8, _LINE * len(texts) + 8)
    said = labels if alone else [chart.title for chart in shown]
    drawing.words = f"{heading}: {', '.join(said)}"
    return drawing


@dataclass(frozen=True)
class Dot:
    """A point of a scatter plot: its position, its kind as shown in the legend, and a word beside it."""

    x: float
    y: float
    kind: str
    word: str = ""


@our_settings()
def scatter(
    heading: str, x_title: str, y_title: str, dots: Sequence[Dot], log: bool = False, kinds: Sequence[str] = ()
) -> Drawing:
    """Draw a scatter plot.

    Args:
        heading: heading of the drawing.
        x_title, y_title: titles of the axes.
        dots: the points. The first kind is drawn as small discs; the others are larger shapes on top.
        log: whether the horizontal axis is logarithmic.
        kinds: the kinds in their order; by default the most frequent one is the first.
    """
    kinds = kinds or sorted({dot.kind for dot in dots}, key=lambda kind: (-sum(dot.kind == kind for dot in dots), kind))
    drawing = Drawing(560, 400)
    drawing.text(8, 18, heading, INK, "bold")
    axes = drawing.axes(62, 52, 484, 300)
    _plain(axes)
    axes.grid(axis="x", color=GRID.light, linewidth=1)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.tick_params(which="minor", length=0)
    axes.set_xlabel(x_title, color=MUTED.light)
    axes.set_ylabel(y_title, color=MUTED.light)
    marks, shown = [], [kind for kind in kinds if any(dot.kind == kind for dot in dots)]
    for kind in shown:
        index = kinds.index(kind)
        x, y = ([getattr(dot, axis) for dot in dots if dot.kind == kind] for axis in ("x", "y"))
        shape = "oD^s"[index % 4]
        size = 10 if index else 5
        marks += axes.plot(x, y, shape, color=series_look(index).light, markersize=size, markeredgewidth=0)
    for dot in dots:
        beside: dict[str, Any] = {"xytext": (8, 4), "textcoords": "offset points", "color": INK.light}
        axes.annotate(clean(dot.word), (dot.x, dot.y), **beside)
    drawing.legend(marks, shown, len(shown), 8, 22)
    # Names of marks must be unique on a page.
    drawing.words, drawing.salt = heading, f"{heading} {dots}"
    return drawing


def _ends(chart: Chart) -> tuple[float, float]:
    """Lower and upper end of the value axis."""
    values, level = chart.values, [] if chart.rule is None else [chart.rule.level]
    low = min(0.0, *values) if chart.low is None else chart.low
    if chart.high is not None:
        return low, max([chart.high, *values, *level])
    top = max([*values, *level])
    return low, top + (0.05 * (top - low) or 1.0)  # leave a margin; if all values are zero, the axis ends at 1


def _last(chart: Chart, series: Series) -> str:
    """The last value, formatted."""
    return next((chart.words(value) for value in reversed(series.means()) if value is not None), "none")


def _plain(axes: Axes) -> None:
    """Reduce the frame to a base line and grid lines at round values."""
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED.light)
    axes.tick_params(length=0, labelcolor=MUTED.light)
    axes.grid(axis="y", color=GRID.light, linewidth=1)
    axes.set_axisbelow(True)


def _fill(axes: Axes, chart: Chart, low: float, high: float) -> list[Any]:
    """Draw the curves of a chart and return them for the legend."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    epochs = range(max([1, *(len(run) for one in chart.series for run in one.runs)]))
    places = epochs if chart.places is None else chart.places
    last = places[-1] or 1
    axes.set_xlim(0, last)
    axes.set_xlabel(chart.across, color=MUTED.light)
    axes.set_ylim(low, high)
    if chart.doubling:
        axes.set_xscale("log", base=2)
        axes.set_xlim(places[0], last)
        axes.set_xticks(places, [number(place) for place in places])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=chart.whole))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: chart.words(value)))
    _plain(axes)
    if chart.shade_until:
        axes.axvspan(0, min(chart.shade_until, last), color=SHADE.light, linewidth=0, zorder=0)
    if chart.rule:
        look = ALARM if chart.rule.alarm else MUTED
        if chart.rule.alarm:
            axes.axhspan(chart.rule.level, high, color=look.light, alpha=0.1, linewidth=0)
        axes.axhline(chart.rule.level, color=look.light, linewidth=1)
        if chart.rule.words:
            ground = {"facecolor": GROUND.light, "alpha": 0.75, "linewidth": 0, "pad": 1}
            place: dict[str, Any] = {"ha": "right", "va": "bottom", "bbox": ground}
            axes.text(last, chart.rule.level, chart.rule.words, color=look.light, **place)
    curves = []
    for one in chart.series:
        known = [math.nan if value is None else max(value, low) for value in one.means()]
        style: dict[str, Any] = {"color": one.look.light, "solid_capstyle": "round"}
        ends = [(places[epoch], max(low, below), max(low, above)) for epoch, below, above in one.band()]
        if len(one.runs) > 1 and ends:
            around = [(at, below) for at, below, _ in ends] + [(at, above) for at, _, above in reversed(ends)]
            axes.fill(*zip(*around, strict=True), color=one.look.light, alpha=0.15, linewidth=0)
        dashes = (0, one.look.dash) if one.look.dash else "-"
        curves += axes.plot(places[: len(known)], known, linewidth=1.8, linestyle=dashes, dash_capstyle="butt", **style)
        padded = [math.nan, *known, math.nan]
        for epoch, value in enumerate(known):
            if not math.isnan(value) and math.isnan(padded[epoch]) and math.isnan(padded[epoch + 2]):
                axes.plot(
                    [places[epoch]] * 2, [value, value], linewidth=5, **style
                )  # draw a value between gaps as a dot
    return curves
