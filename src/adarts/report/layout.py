"""Where the boxes and arrows of a cell stand: decided by Graphviz, or plainly where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

BOX_WIDTH, BOX_HEIGHT = 44.0, 32.0
MARGIN = 12.0
LABEL_HEIGHT = 18.0
LETTER_WIDTH = 6.8
"""A generous mean width of a letter of a label."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """An arrow between two boxes; without an operation it leads to the cell's output."""

    source: int
    target: int
    operation: str | None = None


@dataclass(frozen=True)
class Layout:
    """Where things stand, in points from the top left corner: box centers, Bézier points and label centers of the arrows."""

    width: float
    height: float
    boxes: dict[int, Point]
    curves: list[list[Point]]
    labels: list[Point | None]


def lay_out(num_boxes: int, num_inputs: int, arrows: Sequence[Arrow]) -> Layout:
    """Graphviz's layout, or the plain one: a drawing is never worth a lost run."""
    if program := layout_program():
        try:
            return graphviz_layout(program, num_boxes, arrows)
        except (OSError, subprocess.SubprocessError, ValueError, LookupError):
            pass
    return plain_layout(num_boxes, num_inputs, arrows)


def layout_program() -> str | None:
    """The path of a Graphviz program: the one installed with this package, or else `dot`."""
    return shutil.which("graphviz-pure", path=sysconfig.get_path("scripts")) or shutil.which("dot")


def graphviz_layout(program: str, num_boxes: int, arrows: Sequence[Arrow]) -> Layout:
    """Lay a cell out with Graphviz.

    Raises:
        OSError: the program cannot be run.
        subprocess.SubprocessError: it fails or takes too long.
        ValueError: what it writes is not a layout.
        LookupError: the layout lacks a box or an arrow.
    """
    lines = [f"  {index};" for index in range(num_boxes)]
    for arrow in arrows:
        # Only the label's width matters to the layout, so no name ever needs quoting.
        text = re.sub(r"\W", "_", arrow.operation, flags=re.ASCII) if arrow.operation else ""
        lines.append(f"  {arrow.source} -> {arrow.target}{f' [label=_{text}_]' if text else ''};")
    graph = "\n".join(
        [
            "digraph {",
            "  rankdir=LR; nodesep=0.22; ranksep=0.38; edge [fontname=Helvetica, fontsize=12, arrowsize=0.7];",
            f"  node [shape=box, fixedsize=true, width={BOX_WIDTH / 72:.4f}, height={BOX_HEIGHT / 72:.4f}];",
            *lines,
            "}",
        ]
    )
    plain = subprocess.run(
        [program, "-Tplain"], input=graph, capture_output=True, text=True, encoding="utf-8", timeout=20, check=True
    ).stdout
    return _read_plain(plain, arrows)


def _read_plain(plain: str, arrows: Sequence[Arrow]) -> Layout:
    """Graphviz's plain format, in inches from the bottom left, as a layout."""
    boxes: dict[int, Point] = {}
    found: dict[tuple[int, int], list[tuple[list[Point], Point | None]]] = defaultdict(list)
    for line in plain.splitlines():
        kind, *fields = line.split()
        if kind == "node":
            boxes[int(fields[0])] = (72 * float(fields[1]), -72 * float(fields[2]))
        elif kind == "edge":
            count = int(fields[2])
            numbers = [72 * float(field) for field in fields[3 : 3 + 2 * count]]
            curve = [(x, -y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            rest = fields[3 + 2 * count :]  # label, x, y (only if there is a label), style, color
            label = (72 * float(rest[1]), -72 * float(rest[2])) if len(rest) == 5 else None
            found[int(fields[0]), int(fields[1])].append((curve, label))
    # Arrows between the same two boxes keep their order.
    placed = [found[arrow.source, arrow.target].pop(0) for arrow in arrows]
    return _shifted(boxes, [curve for curve, _ in placed], [label for _, label in placed], arrows)


def plain_layout(num_boxes: int, num_inputs: int, arrows: Sequence[Arrow]) -> Layout:
    """A layout without Graphviz: a column for each depth, longer arrows bent further, labels where there is room."""
    column = [0] * num_inputs + [1] * (num_boxes - num_inputs)
    for arrow in sorted(arrows, key=lambda arrow: arrow.target):
        column[arrow.target] = max(column[arrow.target], column[arrow.source] + 1)
    column[-1] = max(column[:-1]) + 1
    members = [[index for index in range(num_boxes) if column[index] == place] for place in range(column[-1] + 1)]
    boxes = {
        index: (place * 190.0, (row - (len(group) - 1) / 2) * 110 + (25 if place % 2 else -25))
        for place, group in enumerate(members)
        for row, index in enumerate(group)
    }
    curves: list[list[Point]] = []
    for number, arrow in enumerate(arrows):
        (x0, y0), (x1, y1) = boxes[arrow.source], boxes[arrow.target]
        x0, x1 = x0 + BOX_WIDTH / 2, x1 - BOX_WIDTH / 2 - 7
        bend = (x1 - x0 - 100) * 0.3 * (1 if number % 2 else -1)
        third = (x1 - x0) / 3
        curves.append([(x0, y0), (x0 + third, y0 + bend), (x1 - third, y1 + bend), (x1, y1)])
    return _shifted(boxes, curves, _place_labels(list(boxes.values()), curves, arrows), arrows)


def _place_labels(
    boxes: Sequence[Point], curves: Sequence[Sequence[Point]], arrows: Sequence[Arrow]
) -> list[Point | None]:
    """A point on each curve for its label, where it covers least of the boxes and of the labels before it."""
    taken = [(x, y, BOX_WIDTH, BOX_HEIGHT) for x, y in boxes]
    labels: list[Point | None] = []
    for curve, arrow in zip(curves, arrows, strict=True):
        if not arrow.operation:
            labels.append(None)
            continue
        width = LETTER_WIDTH * len(arrow.operation)

        def covered(point: Point, width: float = width) -> float:
            return sum(
                max(0.0, (width + w) / 2 - abs(point[0] - x)) * max(0.0, (LABEL_HEIGHT + h) / 2 - abs(point[1] - y))
                for x, y, w, h in taken
            )

        place = min((_on_curve(curve, part / 100) for part in (50, 42, 58, 34, 66, 26, 74, 20, 80)), key=covered)
        labels.append(place)
        taken.append((*place, width, LABEL_HEIGHT))
    return labels


def _on_curve(curve: Sequence[Point], part: float) -> Point:
    """The point of a cubic Bézier at a parameter from 0 to 1."""
    rest = 1 - part
    factors = (rest**3, 3 * rest**2 * part, 3 * rest * part**2, part**3)
    x, y = (sum(factor * point[axis] for factor, point in zip(factors, curve, strict=True)) for axis in (0, 1))
    return x, y


def _shifted(
    boxes: dict[int, Point], curves: list[list[Point]], labels: list[Point | None], arrows: Sequence[Arrow]
) -> Layout:
    """Move the drawing to the top left corner, with a margin; labels count with their estimated width."""
    half_widths = [LETTER_WIDTH / 2 * len(arrow.operation or "") for arrow in arrows]
    texts = [(label, half) for label, half in zip(labels, half_widths, strict=True) if label]
    around = [point for curve in curves for point in curve]
    around += [
        (x + dx, y + dy)
        for x, y in boxes.values()
        for dx in (-BOX_WIDTH / 2, BOX_WIDTH / 2)
        for dy in (-BOX_HEIGHT / 2, BOX_HEIGHT / 2)
    ]
    around += [
        (x + dx, y + dy)
        for (x, y), half in texts
        for dx in (-half, half)
        for dy in (-LABEL_HEIGHT / 2, LABEL_HEIGHT / 2)
    ]
    left, top = min(x for x, _ in around) - MARGIN, min(y for _, y in around) - MARGIN
    return Layout(
        width=max(x for x, _ in around) - left + MARGIN,
        height=max(y for _, y in around) - top + MARGIN,
        boxes={index: (x - left, y - top) for index, (x, y) in boxes.items()},
        curves=[[(x - left, y - top) for x, y in curve] for curve in curves],
        labels=[(label[0] - left, label[1] - top) if label else None for label in labels],
    )
