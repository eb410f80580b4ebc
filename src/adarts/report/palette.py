"""The colors of all drawings, and a style sheet for dark mode.

Drawings use light-mode colors, so that every viewer can show them. In dark mode, the style sheet `DARK` replaces each color by
its dark counterpart. An operation looks the same in every drawing. Operations without weights have warm colors (`none` is gray)
and convolutions have cool ones. The larger kernel of a family is dashed, so that color is never the only difference. Lines and
text have a contrast of at least 4.5 to their background in both modes.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple


class Look(NamedTuple):
    """Colors on a light and on a dark background, and the dash pattern (lengths of lines and gaps)."""

    light: str
    dark: str
    dash: tuple[float, ...] = ()


GROUND = Look("#ffffff", "#1b2027")
INK = Look("#1c2128", "#e8ecf1")
MUTED = Look("#59636e", "#a3adb8")
GRID = Look("#e2e7ed", "#2f3740")
SHADE = Look("#eef1f5", "#252d36")
ALARM = Look("#b3261e", "#ff8a80")
HEAT = "#ff7a00"
"""Heat maps lie on gray pictures, which look the same in both modes."""
BOXES = {
    "input": (Look("#d9f2e1", "#17402a"), Look("#2b7a4b", "#5fc08a")),
    "node": (Look("#dce9fb", "#1b365a"), Look("#2d5f9e", "#6ea8ef")),
    "output": (Look("#fbefc4", "#453711"), Look("#8b6200", "#e0b041")),
}
"""Fill and outline of the boxes in drawings of cells."""

OPERATIONS = {
    "none": Look("#66707b", "#98a2ad", (1, 3)),
    "max_pool_3x3": Look("#8a6100", "#e0b040"),
    "avg_pool_3x3": Look("#b64a00", "#f29a52", (5, 3)),
    "skip_connect": Look("#cf1f3a", "#ff7f86"),
    "sep_conv_3x3": Look("#0a66d0", "#62abff"),
    "sep_conv_5x5": Look("#0b3c7d", "#b4d6ff", (5, 3)),
    "dil_conv_3x3": Look("#0b7268", "#36cfc0"),
    "dil_conv_5x5": Look("#7a48d6", "#c3a1ff", (5, 3)),
}
OTHERS = (Look("#a0307a", "#f08ac8"), Look("#4c6a12", "#a9cf5e"), Look("#6a5546", "#c9ae9a"))
"""For other operations; the name determines the look, so it is the same on every page."""

SERIES = (
    Look("#1f4fd8", "#8fb2ff"),
    Look("#8c6300", "#e1b142", (7, 3)),
    Look("#0c7369", "#37d0c1", (2, 2)),
    Look("#b8347a", "#ff8fc4", (9, 3, 2, 3)),
    Look("#5a646f", "#b4bdc7", (4, 3)),
    Look("#7b49d7", "#c4a2ff"),
)
"""For curves in one chart, in this order, then from the start again."""


def look(operation: str) -> Look:
    """The look of an operation."""
    return OPERATIONS.get(operation) or OTHERS[zlib.crc32(operation.encode()) % len(OTHERS)]


def series_look(index: int) -> Look:
    """The look of the curve with this index."""
    return SERIES[index % len(SERIES)]


def _dark() -> str:
    boxes = [look for pair in BOXES.values() for look in pair]
    looks = [GROUND, INK, MUTED, GRID, SHADE, ALARM, *boxes, *OPERATIONS.values(), *OTHERS, *SERIES]
    rules = [
        f'.drawing [style*="{what}: {look.light}"] {{ {what}: {look.dark} !important; }}'
        for look in dict.fromkeys(looks)
        for what in ("fill", "stroke")
    ]
    return "\n".join(["@media (prefers-color-scheme: dark) {", *rules, "}"])


DARK = _dark()
"""Style sheet for SVG drawings of the class `drawing` with colors in `style` attributes."""
