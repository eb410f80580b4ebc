"""Bars and double-logarithmic lines as SVG files of their own, light or dark as the reader's system is.

The charts of the report run over epochs and lie in its page; these stand alone, and their axes are ratios and powers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from adarts.report.palette import GROUND, OPERATIONS

_INKS = ("#1c2128", "#e8ecf1")
_MUTED = ("#636c76", "#9aa4af")
_LOOKS = [OPERATIONS[name] for name in ("sep_conv_3x3", "avg_pool_3x3", "dil_conv_3x3", "dil_conv_5x5", "skip_connect")]
_ROW, _BARS, _VALUES, _TOP = 24, 320, 110, 36
_LETTER = 6.6
"""A generous mean width of a letter; the title's are a sixth larger."""
_SIDE, _LEFT, _RIGHT, _BOTTOM = 190, 56, 14, 40


@dataclass(frozen=True)
class Bars:
    """A group of bars that share a scale: a title, and for each bar label, length and words."""

    title: str
    bars: Sequence[tuple[str, float, str]]


@dataclass(frozen=True)
class Curve:
    """Points of a power law: a label with the exponent, x and y; all are positive."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A double-logarithmic chart: what runs along x, and the curves, each drawn relative to its own first point."""

    title: str
    curves: Sequence[Curve]


def bars_svg(title: str, groups: Sequence[Bars]) -> str:
    """Horizontal bars, group under group."""
    parts, y = [_text(12, 22, title, "title")], float(_TOP)
    left = 12 + _LETTER * max(len(label) for group in groups for label, _, _ in group.bars)
    for number, group in enumerate(groups):
        parts.append(_text(12, y + 16, group.title, "muted"))
        y += _ROW
        longest = max(length for _, length, _ in group.bars) or 1.0
        for label, length, words in group.bars:
            width = max(1.0, _BARS * length / longest)
            parts.append(_text(left, y + 16, label, anchor="end"))
            parts.append(
                f'<rect class="s{number % len(_LOOKS)}" x="{left + 8:.1f}" y="{y + 4:.1f}" width="{width:.1f}" height="16"/>'
            )
            parts.append(_text(left + 14 + width, y + 16, words))
            y += _ROW
        y += 10
    return _document(left + _BARS + _VALUES, y, title, parts)


def panels_svg(title: str, panels: Sequence[Panel]) -> str:
    """Double-logarithmic charts side by side; a steeper line grows faster."""
    step = _LEFT + _SIDE + _RIGHT
    most = max(len(panel.curves) for panel in panels)
    parts = [_text(12, 22, title, "title")]
    for number, panel in enumerate(panels):
        parts += _panel(panel, number * step + _LEFT)
    return _document(step * len(panels), _TOP + 18 + _SIDE + _BOTTOM + 16 * most, title, parts)


def _panel(panel: Panel, left: float) -> list[str]:
    top = _TOP + 18
    curves = [[(x, y / curve.points[0][1]) for x, y in curve.points] for curve in panel.curves]
    xs = sorted({x for points in curves for x, _ in points})
    ys = [y for points in curves for _, y in points]
    place_x = _scale(xs[0], xs[-1], left, left + _SIDE)
    place_y = _scale(min(ys), max(ys), top + _SIDE, top)
    parts = [
        _text(left, top - 8, panel.title, "muted"),
        f'<path class="axis" d="M{left:.1f},{top} V{top + _SIDE} H{left + _SIDE:.1f}"/>',
    ]
    parts += [_text(place_x(x), top + _SIDE + 16, f"{x:g}", "muted", "middle") for x in xs]
    for y in _powers(min(ys), max(ys)):
        parts.append(f'<path class="grid" d="M{left:.1f},{place_y(y):.1f} H{left + _SIDE:.1f}"/>')
        parts.append(_text(left - 6, place_y(y) + 4, f"x {y:g}", "muted", "end"))
    for number, (curve, points) in enumerate(zip(panel.curves, curves, strict=True)):
        placed = [(place_x(x), place_y(y)) for x, y in points]
        style = f"s{number % len(_LOOKS)}"
        parts.append(f'<path class="line {style}" d="M{" L".join(f"{x:.1f},{y:.1f}" for x, y in placed)}"/>')
        parts += [f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed]
        parts.append(_text(left, top + _SIDE + 38 + 16 * number, curve.label, style))
    return parts


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """From a positive value to its place on a logarithmic axis; an axis of one value has it in the middle."""
    if low == high:
        return lambda _: (start + end) / 2
    return lambda value: start + (end - start) * math.log(value / low) / math.log(high / low)


def _powers(low: float, high: float) -> list[float]:
    """The powers of two between two values, thinned out to at most eight."""
    first, last = math.ceil(math.log2(low) - 1e-6), math.floor(math.log2(high) + 1e-6)
    stride = max(1, math.ceil((last - first + 1) / 8))
    return [2.0**power for power in range(first, last + 1, stride)]


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _document(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    width = max(width, 24 + 7 / 6 * _LETTER * len(title))

    def colors(dark: int) -> str:
        ink, muted = _INKS[dark], _MUTED[dark]
        series = (look.dark if dark else look.light for look in _LOOKS)
        rules = [f".s{number} {{ fill: {color}; stroke: {color}; }}" for number, color in enumerate(series)]
        rules += [f"text {{ fill: {ink}; }}", f".muted {{ fill: {muted}; }}", f".ground {{ fill: {GROUND[dark]}; }}"]
        rules += [f".axis {{ stroke: {muted}; }}", f".grid {{ stroke: {muted}; stroke-opacity: 0.25; }}"]
        return " ".join(rules)

    style = (
        "text { font: 12px Helvetica, Arial, 'Liberation Sans', sans-serif; } .title { font-size: 14px; }"
        f" {colors(0)} @media (prefers-color-scheme: dark) {{ {colors(1)} }} path {{ fill: none; }}"
        " text[class] { stroke: none; } .line { fill: none; stroke-width: 2; }"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n"
        f'<rect class="ground" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
