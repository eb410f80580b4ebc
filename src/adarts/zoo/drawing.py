"""Cells as text: one line a node, as the sum that it is."""

from __future__ import annotations

from adarts.spaces import Genotype, get_space


def cell_lines(genotype: Genotype, kind: str) -> list[str]:
    """A cell, a node a line: ``node 2 = sep_conv_3x3(0) + skip_connect(1)``; 0 and 1 are the outputs of the cells before it."""
    cell, first = genotype.cells[kind], get_space(genotype.space).num_inputs
    lines = []
    for node, pairs in enumerate(cell.nodes, first):
        terms = [f"{operation}({source})" for operation, source in pairs]
        lines.append(f"node {node} = {' + '.join(terms)}" if terms else f"node {node} has no input")
    return [*lines, f"output = {' ++ '.join(map(str, cell.concat))}"]
