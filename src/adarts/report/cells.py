"""Drawings of cells in the manner of the DARTS papers: boxes from left to right, arrows labeled by their operation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from adarts.errors import DataError, nearest
from adarts.report.charts import framed
from adarts.report.layout import BOX_HEIGHT, BOX_WIDTH, Arrow, Point, lay_out
from adarts.report.palette import BOXES, GROUND, INK, MUTED, look
from adarts.report.templates import ENVIRONMENT
from adarts.spaces import CellGenotype, Genotype, get_space


def node_label(index: int, num_inputs: int, num_nodes: int) -> tuple[str, str]:
    """Text and subscript of a node: c_{k-2}, c_{k-1}, then 0, 1, ..., then c_{k}."""
    if index < num_inputs:
        return "c", f"k−{num_inputs - index}"
    return (str(index - num_inputs), "") if index < num_inputs + num_nodes else ("c", "k")


def node_text(index: int, num_inputs: int, num_nodes: int) -> str:
    """A node in plain text: c(k−2), c(k−1), 0, 1, ..., c(k)."""
    text, subscript = node_label(index, num_inputs, num_nodes)
    return f"{text}({subscript})" if subscript else text


def arrows_of(cell: CellGenotype, num_inputs: int) -> list[Arrow]:
    """The arrows of a cell: its operations, then the concatenation of its nodes."""
    output = num_inputs + len(cell.nodes)
    inner = [
        Arrow(source, target, operation)
        for target, pairs in enumerate(cell.nodes, start=num_inputs)
        for operation, source in pairs
    ]
    return inner + [Arrow(source, output) for source in cell.concat]


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


def cell_svg(genotype: Genotype, kind: str) -> str:
    """Draw a cell as an SVG file.

    Args:
        genotype: the cells.
        kind: which of them, e.g. `normal`.

    Raises:
        DataError: the genotype has no cell of this kind.
    """
    if kind not in genotype.cells:
        raise DataError(f"the genotype has no cell {kind!r}{nearest(kind, genotype.cells)}")
    cell = genotype.cells[kind]
    num_inputs = get_space(genotype.space).num_inputs
    num_nodes = len(cell.nodes)
    arrows = arrows_of(cell, num_inputs)
    read = {arrow.source for arrow in arrows}
    # What nothing enters takes no part in the cell, unless the space lets it be read as zero; an input that nothing reads is
    # shown all the same.
    shown = [*range(num_inputs), *(n for n, pairs in enumerate(cell.nodes, num_inputs) if pairs or n in read)]
    shown.append(num_inputs + num_nodes)
    place = {index: position for position, index in enumerate(shown)}
    placed = [Arrow(place[arrow.source], place[arrow.target], arrow.operation) for arrow in arrows]
    layout = lay_out(len(shown), num_inputs, placed)
    roles = ["input"] * num_inputs + ["node"] * (len(shown) - num_inputs - 1) + ["output"]
    names = [node_label(index, num_inputs, num_nodes) for index in shown]
    body = ENVIRONMENT.get_template("cell.svg").render(
        ground=GROUND,
        ink=INK,
        width=BOX_WIDTH,
        height=BOX_HEIGHT,
        boxes=[
            {"looks": BOXES[role], "x": layout.boxes[index][0], "y": layout.boxes[index][1], "text": text, "sub": sub}
            for index, (role, (text, sub)) in enumerate(zip(roles, names, strict=True))
        ],
        arrows=[
            {
                "operation": arrow.operation,
                "look": look(arrow.operation) if arrow.operation else MUTED,
                "path": _path(curve),
                "tip": _tip(curve),
                "label": label,
            }
            for arrow, curve, label in zip(arrows, layout.curves, layout.labels, strict=True)
        ],
    )
    described = "; ".join(
        f"{node_text(arrow.source, num_inputs, num_nodes)} to {node_text(arrow.target, num_inputs, num_nodes)}: "
        f"{arrow.operation}"
        for arrow in arrows
        if arrow.operation
    )
    return framed("cell", layout.width, layout.height, f"{kind} cell. {described}", body)
