"""Colors of the operations, the same in every drawing and curve.

Operations without weights are warm (and gray for `none`), the convolutions cool; the larger kernel of a family is dashed, so
that color is never the only sign. Every color has a contrast of at least 4.5 to the ground it stands on, light and dark.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

SURFACES = ("#ffffff", "#1b2027")
"""The ground of drawings and curves, light and dark."""


@dataclass(frozen=True)
class Look:
    """How an operation is drawn: its color on a light and on a dark ground, and its dash pattern (empty is solid)."""

    light: str
    dark: str
    dash: str = ""


OPERATIONS = {
    "none": Look("#66707b", "#98a2ad", "1 3"),
    "max_pool_3x3": Look("#8a6100", "#e0b040"),
    "avg_pool_3x3": Look("#b64a00", "#f29a52", "5 3"),
    "skip_connect": Look("#cf1f3a", "#ff7f86"),
    "sep_conv_3x3": Look("#0a66d0", "#62abff"),
    "sep_conv_5x5": Look("#0b3c7d", "#b4d6ff", "5 3"),
    "dil_conv_3x3": Look("#0b7268", "#36cfc0"),
    "dil_conv_5x5": Look("#7a48d6", "#c3a1ff", "5 3"),
}

OTHERS = (Look("#a0307a", "#f08ac8"), Look("#4c6a12", "#a9cf5e"), Look("#6a5546", "#c9ae9a"))
"""For operations of other spaces; which one follows from the name alone, so it is the same on every page."""


def look(operation: str) -> Look:
    """How an operation is drawn, known or not."""
    return OPERATIONS.get(operation) or OTHERS[zlib.crc32(operation.encode()) % len(OTHERS)]


def css_class(operation: str) -> str:
    """The CSS class of an operation; safe for any name."""
    return "op-" + re.sub(r"[^a-z0-9_]", "-", operation.lower())
