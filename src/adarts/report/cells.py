"""Draw cells in the style of the DARTS papers: boxes from left to right, arrows labeled with their operation."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from html import escape

from adarts.errors import DataError, nearest
from adarts.report.drawing import framed
from adarts.report.palette import BOXES, GROUND, INK, MUTED, look
from adarts.spaces import Genotype, get_space


def node_text(index: int, num_inputs: int, num_nodes: int) -> str:
    """The name of a node: c(k−2), c(k−1), 0, 1, ..., c(k)."""
    if index < num_inputs:
        return f"c(k−{num_inputs - index})"
    return str(index - num_inputs) if index < num_inputs + num_nodes else "c(k)"


def cell_lines(genotype: Genotype, kind: str) -> list[str]:
    """A cell as text, one line per node: ``node 2 = sep_conv_3x3(0) + skip_connect(1)``; 0 and 1 are the cell's inputs."""
    cell, first = genotype.cells[kind], get_space(genotype.space).num_inputs
    lines = []
    for node, pairs in enumerate(cell.nodes, first):
        terms = [f"{operation}({source})" for operation, source in pairs]
        lines.append(f"node {node} = {' + '.join(terms)}" if terms else f"node {node} has no input")
    return [*lines, f"output = {' ++ '.join(map(str, cell.concat))}"]


def layout_program() -> str | None:
    """The path of a Graphviz program: the one installed with this package, otherwise `dot`; None if there is neither."""
    return shutil.which("graphviz-pure", path=sysconfig.get_path("scripts")) or shutil.which("dot")


def cell_pngs(genotype: Genotype) -> dict[str, bytes]:
    """Draw all cells as PNG files, by the names ``cell_normal`` etc.

    Raises:
        OSError, subprocess.SubprocessError: Graphviz fails or is missing.
    """
    return {f"cell_{kind}": _rendered(_graph(*_parts(genotype, kind)), "png") for kind in genotype.cells}


def cell_svg(genotype: Genotype, kind: str) -> str:
    """Draw a cell as an SVG file. If Graphviz fails, the file contains the cell as text, so that no run fails over a drawing.

    Args:
        genotype: the cells.
        kind: kind of the cell to draw, e.g. `normal`.

    Raises:
        DataError: the genotype has no cell of this kind.
    """
    if kind not in genotype.cells:
        raise DataError(f"the genotype has no cell {kind!r}{nearest(kind, genotype.cells)}")
    parts = names, _, arrows, _ = _parts(genotype, kind)
    described = "; ".join(f"{names[source]} to {names[node]}: {name}" for source, node, name in arrows)
    try:
        width, height, svg = _restyled(_rendered(_graph(*parts), "svg").decode())
    except (OSError, subprocess.SubprocessError, ValueError):
        lines = cell_lines(genotype, kind)
        width, height = 8 * max(map(len, lines)) + 24, 20 * len(lines) + 20
        texts = (f'<text x="12" y="{20 * row}">{escape(line)}</text>' for row, line in enumerate(lines, 1))
        ground = f'<rect width="100%" height="100%" style="fill: {GROUND.light}"/>'
        svg = f'<svg>{ground}<g style="fill: {INK.light}">{"".join(texts)}</g></svg>'
    return framed("cell", width, height, f"{kind} cell. {described}", svg)


def _parts(genotype: Genotype, kind: str) -> tuple[list[str], int, list[tuple[int, int, str]], tuple[int, ...]]:
    """The names of a cell's nodes, its number of inputs, its arrows (source, node, operation), and what it concatenates."""
    cell, num_inputs = genotype.cells[kind], get_space(genotype.space).num_inputs
    num_nodes = len(cell.nodes)
    arrows = [(source, node, name) for node, pairs in enumerate(cell.nodes, num_inputs) for name, source in pairs]
    names = [node_text(index, num_inputs, num_nodes) for index in range(num_inputs + num_nodes + 1)]
    return names, num_inputs, arrows, cell.concat


def _graph(names: list[str], num_inputs: int, arrows: list[tuple[int, int, str]], concat: tuple[int, ...]) -> str:
    """A cell in the language of Graphviz."""
    output = len(names) - 1
    # Nodes without edges are left out, unless they belong to the output (as zeros). Inputs are always shown.
    shown = {*range(num_inputs), *concat, output, *(end for source, node, _ in arrows for end in (source, node))}
    lines = []
    for index in sorted(shown):
        fill, border = BOXES["input" if index < num_inputs else "output" if index == output else "node"]
        label = re.sub(r"\((.*)\)", r'<sub><font point-size="10">\1</font></sub>', names[index])
        lines.append(f'{index} [label=<{label}>, fillcolor="{fill.light}", color="{border.light}"]')
    for source, node, name in arrows:
        color, _, dash = look(name)
        style = "dashed" if dash else "solid"
        lines.append(
            f'{source} -> {node} [label=" {name} ", color="{color}", fontcolor="{color}", style={style}, penwidth=1.7]'
        )
    lines += [f'{source} -> {output} [color="{MUTED.light}"]' for source in concat]
    return f"""digraph {{
        rankdir=LR; nodesep=0.22; ranksep=0.38; pad=0.15; outputorder=edgesfirst; bgcolor="{GROUND.light}"
        edge [fontname=Helvetica, fontsize=12, arrowsize=0.7]
        node [fontname=Helvetica, fontsize=14, fontcolor="{INK.light}", shape=box, style="rounded,filled",
              fixedsize=true, width=0.61, height=0.45, penwidth=1.3]
        {"; ".join(lines)}
    }}"""


def _rendered(graph: str, form: str) -> bytes:
    """Draw with Graphviz; return the file of this form."""
    command = [layout_program() or "dot", f"-T{form}"]
    return subprocess.run(command, input=graph.encode(), capture_output=True, timeout=20, check=True).stdout


def _restyled(svg: str) -> tuple[float, float, str]:
    """Width, height and text of Graphviz's SVG file, with colors that a style sheet can change."""
    [(width, height)] = re.findall(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg)
    svg = re.sub(r"<!--.*?-->\s*|<title>.*?</title>\s*", "", svg, flags=re.DOTALL)
    # Cut the last pixel, because the background may not cover it.
    return float(width) - 1, float(height) - 1, re.sub(r' fill="([^"]*)"(?: stroke="([^"]*)")?', _style, svg)


def _style(found: re.Match[str]) -> str:
    """Move colors into a `style` attribute for the style sheet; give arrow labels a halo, to stay legible over lines."""
    fill, stroke = found.groups()
    halo = f"; stroke: {GROUND.light}; stroke-width: 3px; stroke-linejoin: round; paint-order: stroke"
    return f' style="fill: {fill}{f"; stroke: {stroke}" if stroke else "" if fill == INK.light else halo}"'
