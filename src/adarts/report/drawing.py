"""A drawing by matplotlib as an SVG or a PDF file. Text remains text, and equal drawings give identical bytes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from adarts.engine.files import write_atomically
from adarts.report.palette import DARK, GROUND, INK, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: Any = {
    "svg.fonttype": "none",  # keep text as text
    "pdf.fonttype": 42,  # keep text as text
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 11,
    "text.color": INK.light,
    "lines.scale_dashes": False,
}


@contextmanager
def our_settings() -> Iterator[None]:
    """Matplotlib's settings, without warnings about missing letters: the reader's font displays the text, not ours."""
    from matplotlib import rc_context

    with rc_context(_STYLE), warnings.catch_warnings(action="ignore"):
        yield


class Drawing:
    """A figure whose positions are in SVG units from the top left corner.

    Attributes:
        words: a description for screen readers.
        salt: decides the names inside an SVG file.
    """

    words, salt = "", "adarts"

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure: Figure = Figure((width / 72, height / 72), dpi=72, facecolor=GROUND.light)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes at this position."""
        place = left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height
        return self.figure.add_axes(place, facecolor="none")

    def text(self, left: float, base: float, text: str, look: Look, weight: str) -> None:
        """Add a line of text."""
        x, y = left / self.width, 1 - base / self.height
        self.figure.text(x, y, clean(text), color=look.light, weight=weight, size=12 if weight == "bold" else 11)

    def legend(self, marks: Sequence[Any], labels: Sequence[str], columns: int, left: float, top: float) -> None:
        """Add a legend whose top left corner is at this position."""
        self.figure.legend(
            marks,
            [clean(label) for label in labels],
            loc="upper left",
            bbox_to_anchor=(left / self.width, 1 - top / self.height),
            ncols=columns,
            frameon=False,
            handlelength=2,
            columnspacing=1.2,
            borderpad=0,
            borderaxespad=0,
            labelspacing=0.35,
        )

    @our_settings()
    def svg(self) -> str:
        """The drawing as an SVG file that can also be embedded in an HTML page."""
        from matplotlib import rc_context

        buffer = StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with rc_context({"svg.hashsalt": self.salt}):  # the same names in every run
            self.figure.savefig(buffer, format="svg", metadata=nothing)
        text = buffer.getvalue()
        # Clip paths are not needed, because everything lies inside the axes.
        text = re.sub(r' clip-path="[^"]*"|<defs>\s*<(style|clipPath).*?</defs>', "", text, flags=re.DOTALL)
        return framed("chart", self.width, self.height, self.words, text)

    @our_settings()
    def pdf(self) -> bytes:
        """The drawing as a PDF file."""
        buffer = BytesIO()
        self.figure.savefig(buffer, format="pdf", metadata=dict.fromkeys(("Creator", "Producer", "CreationDate")))
        return buffer.getvalue()

    def write(self, folder: Path, name: str) -> str:
        """Write ``NAME.svg`` and ``NAME.pdf``; return the SVG file."""
        svg = self.svg()
        write_atomically(folder / f"{name}.svg", svg.encode())
        write_atomically(folder / f"{name}.pdf", self.pdf())
        return svg


def clean(text: str) -> str:
    """Make text valid in XML; strip leading underscores, because a legend omits labels that begin with one."""
    kept = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return kept.encode(errors="replace").decode().lstrip("_")


_SHEET = f"<style>\n{DARK}\n</style>\n"
_LINKS = ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def framed(css: str, width: float, height: float, words: str, svg: str) -> str:
    """Wrap the SVG output of a program: add our style sheet and a description for screen readers."""
    # Remove ids, because they would not be unique on a page.
    body = re.sub(r'(?<=<g) id="[^"]*"', "", svg[svg.index(">", svg.index("<svg")) + 1 :])
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg{_LINKS} class="drawing {css}" {size} role="img" aria-label="{escape(clean(words))}">'
    return f"{head}\n{_SHEET}{body.strip()}\n"


def arranged(rows: Sequence[Sequence[str]], words: str) -> str:
    """Several drawings as one SVG file.

    Args:
        rows: the text of SVG files, side by side in rows.
        words: a description for screen readers.
    """
    parts, width, top = [], 0, 0
    for row in rows:
        left = height = 0
        for svg in row:
            across, down = (int(side) for side in re.findall(r' (?:width|height)="(\d+)"', svg)[:2])
            parts.append(str(inline(svg)).replace("<svg", f'<svg x="{left}" y="{top}"', 1))
            left, height = left + across, max(height, down)
        width, top = max(width, left), top + height
    return framed("run", width, top, words, f"<svg>{''.join(parts)}</svg>")


def inline(svg: str) -> Markup:
    """A drawing as an element of a page that contains the style sheet. It is safe to insert, because all names are escaped."""
    return Markup(svg.replace(_SHEET, "", 1).replace(_LINKS, "", 1))
