"""Read and write the architecture strings of NAS-Bench-201, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

Each group belongs to a node and has one operation for every node before it. The string contains `none`; genotypes omit it.
"""

from __future__ import annotations

import re

from adarts.errors import DataError, nearest
from adarts.spaces.limits import short
from adarts.spaces.spaces import NASBENCH201

Nodes = tuple[tuple[tuple[str, int], ...], ...]
"""For every node, its pairs of operation and source."""

_GROUP = re.compile(r"\|(?:[^|~+]{1,40}~\d{1,3}\|)+", re.ASCII)
_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


def read(text: str) -> Nodes:
    """Read the pairs of every node, without `none`.

    Raises:
        DataError: the text is not a cell of NAS-Bench-201.
    """
    groups = text.strip().split("+")
    if len(groups) != NASBENCH201.num_nodes or not all(_GROUP.fullmatch(group) for group in groups):
        raise DataError(f"genotype: expected {_FORM}, not {short(text)}")
    nodes = []
    for target, group in zip(NASBENCH201.targets, groups, strict=True):
        pairs = [(name, int(source)) for name, source in (pair.split("~") for pair in group.strip("|").split("|"))]
        if [source for _, source in pairs] != list(range(target)):
            found, needed = ", ".join(str(source) for _, source in pairs), ", ".join(map(str, range(target)))
            raise DataError(f"genotype: node {target} must read the nodes {needed} in this order, not {short(found)}")
        for name, source in pairs:
            if name not in NASBENCH201.operations:
                where, hint = f"the edge from node {source} to node {target}", nearest(name, NASBENCH201.operations)
                raise DataError(f"genotype: {where}: unknown operation {short(name)}{hint}")
        nodes.append(tuple(pair for pair in pairs if pair[0] != "none"))
    return tuple(nodes)


def write(nodes: Nodes) -> str:
    """Write a cell; the inverse of :func:`read`."""
    groups = []
    for target, pairs in zip(NASBENCH201.targets, nodes, strict=True):
        operations = {source: name for name, source in pairs}
        groups.append("|" + "".join(f"{operations.get(source, 'none')}~{source}|" for source in range(target)))
    return "+".join(groups)
