"""The textual genotype of the DARTS code family, ``Genotype(normal=[('sep_conv_3x3', 1), ...], ...)``: reader, writer.

The text is checked word by word, then parsed to a syntax tree of which only the expected shape is read. Nothing is
evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from adarts.errors import DataError
from adarts.space.limits import short

KINDS = {"normal": "normal", "reduction": "reduce"}
"""Our name of a cell kind, and the text's."""

PAIRS = 2
"""Pairs of a node; the text is a flat list of them."""

_Cell = tuple[tuple[tuple[tuple[str, int], ...], ...], tuple[int, ...]]

_ASSIGNMENT = r"(?:[A-Za-z_]\w{0,60}\s*=\s*(?=Genotype\b))?"
_WORDS = "|".join(["Genotype", "range", "list", *KINDS.values(), *(f"{name}_concat" for name in KINDS.values())])
_TOKENS = re.compile(
    _ASSIGNMENT + rf"(?:\s+|(?:{_WORDS})\b|\d{{1,4}}\b|'\w{{1,40}}'|\"\w{{1,40}}\"|[()\[\],=])*", re.ASCII
)


def read(text: str) -> dict[str, _Cell]:
    """The (nodes, concat) of each cell kind; the operations and numbers are not checked here.

    Raises:
        DataError: the text is anything but one genotype.
    """
    text = text.strip()
    tokens = _TOKENS.match(text)
    end = tokens.end() if tokens else 0
    if end != len(text):
        raise DataError(f"genotype: neither JSON nor Genotype(normal=...), at {short(text[end : end + 40])}")
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DataError(f"genotype: not a well-formed Genotype(...): {short(text)}") from None
    match body:
        case [ast.Expr(value=expression)] | [ast.Assign(targets=[ast.Name()], value=expression)]:
            keywords = _keywords(expression)
        case _:
            raise DataError(f"genotype: expected one Genotype(...), not {short(text)}")
    names = sorted(str(keyword.arg) for keyword in keywords)
    expected = sorted(name for kind in KINDS.values() for name in (kind, f"{kind}_concat"))
    if names != expected:
        raise DataError(f"genotype: expected the fields {', '.join(expected)}, not {short(names)}")
    fields = {keyword.arg: keyword.value for keyword in keywords}
    return {kind: (_nodes(name, fields[name]), _concat(name, fields[f"{name}_concat"])) for kind, name in KINDS.items()}


def write(cells: Mapping[str, _Cell]) -> str:
    """The text of cells that have two pairs a node; the inverse of :func:`read`."""
    fields = []
    for kind, name in KINDS.items():
        nodes, concat = cells[kind]
        fields.append(f"{name}={[pair for pairs in nodes for pair in pairs]}, {name}_concat={list(concat)}")
    return f"Genotype({', '.join(fields)})"


def _keywords(tree: ast.expr) -> list[ast.keyword]:
    match tree:
        case ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords):
            return keywords
    raise DataError(f"genotype: expected Genotype(normal=..., ...) at {_place(tree)}")


def _nodes(name: str, tree: ast.expr) -> tuple[tuple[tuple[str, int], ...], ...]:
    if not isinstance(tree, ast.List | ast.Tuple):
        raise DataError(f"genotype: '{name}' must be a list of (operation, source) pairs, at {_place(tree)}")
    pairs = [_pair(name, item) for item in tree.elts]
    if len(pairs) % PAIRS:
        raise DataError(f"genotype: '{name}' has {len(pairs)} pairs; the textual form has two a node")
    return tuple(tuple(pairs[first : first + PAIRS]) for first in range(0, len(pairs), PAIRS))


def _pair(name: str, tree: ast.expr) -> tuple[str, int]:
    match tree:
        case ast.Tuple(elts=[operation, source]) | ast.List(elts=[operation, source]):
            match operation, source:
                case ast.Constant(value=str(word)), ast.Constant(value=int(number)):
                    return word, number
    raise DataError(f"genotype: '{name}' must hold (operation, source) pairs, at {_place(tree)}")


def _concat(name: str, tree: ast.expr) -> tuple[int, ...]:
    match tree:
        case ast.Call(func=ast.Name(id="list"), args=[inner], keywords=[]):
            return _concat(name, inner)
        case ast.Call(func=ast.Name(id="range"), args=[*bounds], keywords=[]) if 1 <= len(bounds) <= 2:
            return tuple(range(*(_integer(name, bound) for bound in bounds)))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return tuple(_integer(name, item) for item in items)
    raise DataError(f"genotype: '{name}_concat' must be a list of node numbers, at {_place(tree)}")


def _integer(name: str, tree: ast.expr) -> int:
    match tree:
        case ast.Constant(value=int(number)):
            return number
    raise DataError(f"genotype: '{name}_concat' must hold node numbers, at {_place(tree)}")


def _place(tree: ast.expr) -> str:
    return f"line {tree.lineno}, column {tree.col_offset + 1}"
