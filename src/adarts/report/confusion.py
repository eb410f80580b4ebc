"""What a trained network confuses: the matrix as a drawing, the pairs of classes most often confused, the worst mistakes."""

from __future__ import annotations

from html import escape
from typing import Any

from markupsafe import Markup

from adarts.report.charts import percent
from adarts.report.drawing import framed, inline
from adarts.report.palette import ALARM, GRID, GROUND, INK, series_look

MOST_CLASSES = 100
"""Classes of the largest matrix that is drawn."""
_SIDES = ((12, 36, True), (40, 20, False), (MOST_CLASSES, 10.3, False))
"""Up to so many classes: the side of a square in pixels, and whether it shows its number."""
_LONGEST = 18  # letters of a name beside the matrix
_PAIRS = 10  # confused pairs that are listed


def matrix(answers: dict[str, Any]) -> Markup | None:
    """Draw the confusion matrix: a row for each true class, a column for each predicted one; None for too many classes."""
    names, counts = answers["classes"], answers["confused"]
    if not 0 < len(names) <= MOST_CLASSES:
        return None
    side, with_numbers = next((side, shown) for most, side, shown in _SIDES if len(names) <= most)
    font = min(11, side - 1.5)
    labels = [escape(_short(name)) for name in names]
    margin = 0.62 * font * max(len(_short(name)) for name in names) + 10
    extent, strongest = side * len(names), 0.5 if with_numbers else 1.0
    images = _row_sums(answers)
    parts = [
        f'<rect width="{margin + extent + 2:.0f}" height="{margin + extent + 2:.0f}" style="fill: {GROUND.light}"/>',
        f'<g style="fill: {INK.light}; font-size: {font}px" font-family="sans-serif">',
    ]
    for index, label in enumerate(labels):
        middle = margin + side * (index + 0.5)
        parts.append(f'<text x="{margin - 5:.1f}" y="{middle + font / 3:.1f}" text-anchor="end">{label}</text>')
        turned = f'transform="translate({middle + font / 3:.1f} {margin - 5:.1f}) rotate(-90)"'
        parts.append(f"<text {turned}>{label}</text>")
    for step in range(0, len(names) + 1, 1 if side >= 20 else 5):
        at, end = margin + side * step, margin + extent
        lines = f"M{at:.1f} {margin:.1f}V{end:.1f}M{margin:.1f} {at:.1f}H{end:.1f}"
        parts.append(f'<path d="{lines}" style="stroke: {GRID.light}"/>')
    for true, predicted, count in counts:
        share, look = count / images[true], series_look(0) if true == predicted else ALARM
        x, y = margin + side * predicted, margin + side * true
        told = f"{names[true]} taken for {names[predicted]}" if true != predicted else f"{names[true]} found"
        square = f'x="{x:.1f}" y="{y:.1f}" width="{side}" height="{side}"'
        color = f"fill: {look.light}; fill-opacity: {strongest * share**0.5:.2f}"  # the root shows rare mistakes
        title = f"<title>{escape(told)}: {count:,} of {images[true]:,}, {percent(share)}</title>"
        parts.append(f'<rect {square} style="{color}">{title}</rect>')
        if with_numbers:
            place = f'x="{x + side / 2:.1f}" y="{y + side / 2 + 4:.1f}" text-anchor="middle"'
            parts.append(f'<text {place} pointer-events="none">{count}</text>')
    width = margin + extent + 2
    return inline(framed("matrix", width, width, "Confusion matrix", f"<svg>{''.join(parts)}</g></svg>"))


def pairs(answers: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of a table of the pairs most often confused: true class, predicted class, images, share of the true class."""
    names, images = answers["classes"], _row_sums(answers)
    wrong = [one for one in answers["confused"] if one[0] != one[1]]
    worst = sorted(wrong, key=lambda one: (-one[2], -one[2] / images[one[0]]))[:_PAIRS]
    return [
        (names[true], names[predicted], f"{count:,}", percent(count / images[true])) for true, predicted, count in worst
    ]


def mistakes(answers: dict[str, Any]) -> list[dict[str, str]]:
    """The worst mistakes: `png` in base64, the `file`, in words the `true` and the `predicted` class with its probability; and
    the picture under its heat map as `heat`, with the words `about_heat`, if there is one.
    """
    names = answers["classes"]
    found = []
    for one in answers["mistakes"]:
        true, predicted = names[one["true"]], names[one["predicted"]]
        shown = {"png": one["png"], "file": one["file"], "true": true}
        shown["predicted"] = f"{predicted}, {percent(one['confidence'])}"
        if heat := one.get("heat"):
            strongest = f"is strongest at the {heat['where']}" if heat["where"] else "is nowhere in the picture"
            about = f"heat map: what spoke for {predicted} rather than {true} {strongest}"
            shown |= {"heat": heat["png"], "about_heat": about}
        found.append(shown)
    return found


def _row_sums(answers: dict[str, Any]) -> list[int]:
    """Number of test images of each class."""
    found = [0] * len(answers["classes"])
    for true, _, count in answers["confused"]:
        found[true] += count
    return found


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
