"""Genotypes as NNI's hub of search spaces exports them: an entry for the operation and for the source of each kept edge.

``{"normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": [0], ...}``: node 2, first edge. A source is a number or a list of one.
Format: NNI 3.0, ``nni.nas.hub.pytorch.DARTS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adarts.errors import DataError
from adarts.spaces.classical import KINDS, PAIRS
from adarts.spaces.limits import short
from adarts.spaces.spaces import DARTS

_KEY = re.compile(r"(?:normal|reduce)/(?:op|input)_\d{1,2}_\d{1,2}", re.ASCII)

_Nodes = tuple[tuple[tuple[str, int], ...], ...]


def is_export(document: Mapping[object, object]) -> bool:
    """Whether an object is an export of NNI."""
    return any(isinstance(key, str) and _KEY.fullmatch(key) for key in document)


def read(document: Mapping[object, object]) -> dict[str, _Nodes]:
    """Read the nodes of each kind of cell.

    Raises:
        DataError: an entry is missing, superfluous or wrong.
    """
    rest = dict(document)
    cells = {
        kind: tuple(
            tuple(_pair(rest, f"{name}/", f"_{node}_{edge}") for edge in range(PAIRS)) for node in DARTS.targets
        )
        for kind, name in KINDS.items()
    }
    if rest:
        raise DataError(f"genotype: {short(next(iter(rest)))} is no edge of two cells with four nodes")
    return cells


def _pair(rest: dict[object, object], head: str, tail: str) -> tuple[str, int]:
    """The operation and the source of an edge, which are taken out."""
    operation, source = rest.pop(f"{head}op{tail}", None), rest.pop(f"{head}input{tail}", None)
    if isinstance(source, list) and len(source) == 1:
        source = source[0]
    if not isinstance(operation, str) or type(source) is not int:
        names, found = f"{head}op{tail} and {head}input{tail}", short((operation, source))
        raise DataError(f"genotype: {names} must be an operation and a node, not {found}")
    return operation, source
