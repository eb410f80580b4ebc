"""Drawings of cells in the manner of the DARTS papers: boxes from left to right, arrows labelled by their operation.

Graphviz only decides where things stand (`-Tplain`); the SVG is ours, so that it follows the theme of the page.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sysconfig
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from adarts.errors import DataError, nearest
from adarts.report.templates import ENVIRONMENT
from adarts.space import CellGenotype, Genotype, get_space

BOX_WIDTH, BOX_HEIGHT = 44.0, 32.0
MARGIN = 12.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """An arrow between two boxes; without an operation it leads to the cell's output."""

    source: int
    target: int
    operation: str | None = None


@dataclass(frozen=True)
class Layout:
    """Where things stand, in points from the top left corner: box centres, Bézier points and label centres of the arrows."""

    width: float
    height: float
    boxes: dict[int, Point]
    curves: list[list[Point]]
    labels: list[Point | None]


def node_label(index: int, num_inputs: int, num_nodes: int) -> tuple[str, str]:
    """Text and subscript of a node: c_{k-2}, c_{k-1}, then 0, 1, ..., then c_{k}."""
    if index < num_inputs:
        return "c", f"k−{num_inputs - index}"
    return (str(index - num_inputs), "") if index < num_inputs + num_nodes else ("c", "k")


def arrows_of(cell: CellGenotype, num_inputs: int) -> list[Arrow]:
    """The arrows of a cell: its operations, then the concatenation of its nodes."""
    output = num_inputs + len(cell.nodes)
    inner = [
        Arrow(source, target, operation)
        for target, pairs in enumerate(cell.nodes, start=num_inputs)
        for operation, source in pairs
    ]
    return inner + [Arrow(source, output) for source in cell.concat]


def layout_program() -> str | None:
    """The path of a Graphviz program: the one installed with this package, or else `dot`."""
    return shutil.which("graphviz-pure", path=sysconfig.get_path("scripts")) or shutil.which("dot")


def graphviz_layout(program: str, num_boxes: int, arrows: Sequence[Arrow]) -> Layout:
    """Lay a cell out with Graphviz.

    Raises:
        OSError: the program cannot be run.
        subprocess.SubprocessError: it fails or takes too long.
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
            rest = fields[3 + 2 * count :]  # label, x, y (only if there is a label), style, colour
            label = (72 * float(rest[1]), -72 * float(rest[2])) if len(rest) == 5 else None
            found[int(fields[0]), int(fields[1])].append((curve, label))
    # Arrows between the same two boxes keep their order.
    placed = [found[arrow.source, arrow.target].pop(0) for arrow in arrows]
    return _shifted(boxes, [curve for curve, _ in placed], [label for _, label in placed], arrows)


def plain_layout(num_boxes: int, num_inputs: int, arrows: Sequence[Arrow]) -> Layout:
    """A layout without Graphviz: a column for each depth, longer arrows bent further outwards."""
    column = [0] * num_boxes
    for arrow in sorted(arrows, key=lambda arrow: arrow.target):
        column[arrow.target] = max(column[arrow.target], column[arrow.source] + 1)
    column[num_boxes - 1] = max(column) + (column[num_boxes - 1] != max(column))
    rows: dict[int, list[int]] = defaultdict(list)
    for index in range(num_boxes):
        rows[max(column[index], int(index >= num_inputs))].append(index)
    boxes = {
        index: (column_index * 150.0, (place - (len(members) - 1) / 2) * 110 + (25 if column_index % 2 else -25))
        for column_index, members in rows.items()
        for place, index in enumerate(members)
    }
    curves: list[list[Point]] = []
    labels: list[Point | None] = []
    for number, arrow in enumerate(arrows):
        (x0, y0), (x1, y1) = boxes[arrow.source], boxes[arrow.target]
        x0, x1 = x0 + BOX_WIDTH / 2, x1 - BOX_WIDTH / 2 - 7
        bend = (x1 - x0 - 90) * 0.35 * (1 if number % 2 else -1)
        third = (x1 - x0) / 3
        curve = [(x0, y0), (x0 + third, y0 + bend), (x1 - third, y1 + bend), (x1, y1)]
        curves.append(curve)
        middle = ((x0 + x1) / 2, (y0 + y1) / 2 + 0.75 * bend - 8)
        labels.append(middle if arrow.operation else None)
    return _shifted(boxes, curves, labels, arrows)


def _shifted(
    boxes: dict[int, Point], curves: list[list[Point]], labels: list[Point | None], arrows: Sequence[Arrow]
) -> Layout:
    """Move the drawing to the top left corner, with a margin; labels count with their estimated width."""
    half_widths = [3.4 * len(arrow.operation or "") for arrow in arrows]
    texts = [(label, half) for label, half in zip(labels, half_widths, strict=True) if label]
    around = [point for curve in curves for point in curve]
    around += [(x + dx, y + dy) for x, y in boxes.values() for dx in (-22.0, 22.0) for dy in (-16.0, 16.0)]
    around += [(x + dx, y + dy) for (x, y), half in texts for dx in (-half, half) for dy in (-9.0, 9.0)]
    left, top = min(x for x, _ in around) - MARGIN, min(y for _, y in around) - MARGIN
    return Layout(
        width=max(x for x, _ in around) - left + MARGIN,
        height=max(y for _, y in around) - top + MARGIN,
        boxes={index: (x - left, y - top) for index, (x, y) in boxes.items()},
        curves=[[(x - left, y - top) for x, y in curve] for curve in curves],
        labels=[(label[0] - left, label[1] - top) if label else None for label in labels],
    )


def _path(curve: Sequence[Point]) -> str:
    """SVG path of a chain of cubic Béziers."""
    start, *rest = (f"{x:.1f},{y:.1f}" for x, y in curve)
    return f"M{start} C{' '.join(rest)}"


def _tip(curve: Sequence[Point]) -> str:
    """SVG path of the arrow head at the end of a curve, pointing on in its direction."""
    (x0, y0), (x1, y1) = curve[-2:]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    corners = [(x1 - 3.2 * dy, y1 + 3.2 * dx), (x1 + 7 * dx, y1 + 7 * dy), (x1 + 3.2 * dy, y1 - 3.2 * dx)]
    return f"M{' L'.join(f'{x:.1f},{y:.1f}' for x, y in corners)} Z"


def cell_svg(genotype: Genotype, kind: str, *, standalone: bool = True) -> str:
    """Draw a cell.

    Args:
        genotype: the cells.
        kind: which of them, e.g. `normal`.
        standalone: write a file of its own, with its styles and ground; otherwise an element for the report's page.

    Returns:
        The SVG text.

    Raises:
        DataError: the genotype has no cell of this kind.
    """
    if kind not in genotype.cells:
        raise DataError(f"the genotype has no cell {kind!r}{nearest(kind, genotype.cells)}")
    cell = genotype.cells[kind]
    num_inputs = get_space(genotype.space).num_inputs
    num_nodes = len(cell.nodes)
    num_boxes = num_inputs + num_nodes + 1
    arrows = arrows_of(cell, num_inputs)
    layout = _layout(num_boxes, num_inputs, arrows)
    roles = ["input"] * num_inputs + ["node"] * num_nodes + ["output"]
    names = [node_label(index, num_inputs, num_nodes) for index in range(num_boxes)]
    return ENVIRONMENT.get_template("cell.svg").render(
        kind=kind,
        standalone=standalone,
        layout=layout,
        box_width=BOX_WIDTH,
        box_height=BOX_HEIGHT,
        boxes=[
            {"role": role, "x": layout.boxes[index][0], "y": layout.boxes[index][1], "text": text, "sub": sub}
            for index, (role, (text, sub)) in enumerate(zip(roles, names, strict=True))
        ],
        arrows=[
            {"operation": arrow.operation, "path": _path(curve), "tip": _tip(curve), "label": label}
            for arrow, curve, label in zip(arrows, layout.curves, layout.labels, strict=True)
        ],
        description="; ".join(
            f"{''.join(names[arrow.source])} to {''.join(names[arrow.target])}: {arrow.operation}"
            for arrow in arrows
            if arrow.operation
        ),
    )


def _layout(num_boxes: int, num_inputs: int, arrows: Sequence[Arrow]) -> Layout:
    """Graphviz's layout, or the plain one: a drawing is never worth a lost run."""
    if program := layout_program():
        try:
            return graphviz_layout(program, num_boxes, arrows)
        except (OSError, subprocess.SubprocessError):
            pass
    return plain_layout(num_boxes, num_inputs, arrows)
