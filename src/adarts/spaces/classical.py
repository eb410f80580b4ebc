"""Read and write the textual genotypes of DARTS and related codes.

DARTS, PC-DARTS and nearly all others write two pairs (operation, source) per node, and the concatenated nodes as a list or a
range: ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))``.
FairDARTS writes triples (operation, node, source), any number per node. Its network omits nodes without incoming edges and
edges that read them, regardless of the concatenation, so the concatenation is optional.

Other codes and logs write the same with more around it: a list for each node, NumPy's integers, the module's name, a time, a
comment, a dictionary of the four fields. :func:`_plain` removes what is known; anything else is refused.

The text is tokenized, then parsed to a syntax tree, of which only literals are read. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from adarts.errors import DataError
from adarts.spaces.limits import short
from adarts.spaces.spaces import DARTS

KINDS = {"normal": "normal", "reduction": "reduce"}
"""Our name of a kind of cell -> its name in the text."""

FIELDS = tuple(field for name in KINDS.values() for field in (name, f"{name}_concat"))
"""The fields of the text in their order."""

PAIRS = 2
"""Pairs per node; the text is a flat list of pairs."""

MAX_NODE = 99
"""Highest node number; limits the work for untrusted texts."""

_Cell = tuple[tuple[tuple[tuple[str, int], ...], ...], tuple[int, ...]]

_ASSIGNMENT = r"(?:[A-Za-z_]\w{0,60}\s*=\s*(?=Genotype\b))?"
_WORDS = "|".join(
    ["Genotype", "range", "list", "tuple", *KINDS.values(), *(f"{name}_concat" for name in KINDS.values())]
)
_TOKENS = re.compile(
    _ASSIGNMENT + rf"(?:\s+|(?:{_WORDS})\b|\d{{1,4}}\b|'\w{{1,40}}'|\"\w{{1,40}}\"|[(){{}}\[\],:=])*", re.ASCII
)


_TYPE = r"Genotype = (?:collections\.)?namedtuple\([\w ,'\"\[\]]{1,120}\)"
_LINES = re.compile(rf"\A(?:(?:(?:from|import) [\w ,.]{{1,80}}|{_TYPE}|#[^\n]*)?\n)+")
"""Lines above the genotype in a Python file: imports, the declaration of the type, comments."""

_SPELLINGS = (  # pattern -> what the plain text has in its place
    (re.compile(r"\A[0-9/:,.\- ]{1,40}(?:[AP]M )?(?=genotype\s*=)"), ""),  # the time in a log
    (re.compile(r"=\s*\\\n\s*"), "= "),  # a line that goes on
    (re.compile(r"(?<![\w.])(?:[A-Za-z_]\w{0,30}\.){1,3}(?=Genotype\s*\()"), ""),  # the module of the type
    (re.compile(r"\b(?:np|numpy)\.int(?:32|64)\((\d{1,4})\)"), r"\1"),
)


def _plain(text: str) -> str:
    """The text without what other codes and logs write around a genotype."""
    text = text.strip()
    if text[:1] in ("'", '"') and text[:1] == text[-1:] and "Genotype" in text:  # the representation of a text
        text = text[1:-1].replace("\\'", "'")
    text = _LINES.sub("", text)
    head, _, last = text.rpartition("\n")
    text = f"{head}\n{last.partition('#')[0]}"  # without a comment behind it
    text = text.strip()
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    return text


def read(text: str) -> dict[str, _Cell]:
    """Read the (nodes, concat) of each kind of cell; operations and numbers are not checked here.

    Raises:
        DataError: the text is not exactly one genotype.
    """
    text = _plain(text)
    tokens = _TOKENS.match(text)
    end = tokens.end() if tokens else 0
    if end != len(text):
        raise DataError(f"genotype: neither JSON nor Genotype(normal=...), at {short(text[end : end + 40])}")
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DataError(f"genotype: not a well-formed Genotype(...): {short(text)}") from None
    match body:
        case [ast.Expr(value=ast.Dict(keys=keys, values=values))]:
            pairs = [
                (key.value if isinstance(key, ast.Constant) else None, x) for key, x in zip(keys, values, strict=True)
            ]
        case [ast.Expr(value=tree)] | [ast.Assign(targets=[ast.Name()], value=tree)]:
            pairs = [(keyword.arg, keyword.value) for keyword in _keywords(tree)]
        case _:
            raise DataError(f"genotype: expected one Genotype(...), not {short(text)}")
    trees = {str(name): tree for name, tree in pairs}
    if len(trees) != len(pairs):
        raise DataError(f"genotype: a field is given twice: {short(sorted(str(name) for name, _ in pairs))}")
    return read_fields({name: _values(name, tree) for name, tree in trees.items()})


def read_fields(fields: Mapping[str, Any]) -> dict[str, _Cell]:
    """Read the (nodes, concat) of each kind of cell from the four fields of a genotype, as lists or tuples.

    Raises:
        DataError: a field is missing, superfluous or wrong.
    """
    lists, concats = set(KINDS.values()), {f"{name}_concat" for name in KINDS.values()}
    if set(fields) - concats != lists:
        raise DataError(
            f"genotype: expected the fields {', '.join(sorted(lists | concats))}, not {short(sorted(map(str, fields)))}"
        )
    return {
        kind: _cell(name, _tuples(fields[name]), _tuples(fields.get(f"{name}_concat"))) for kind, name in KINDS.items()
    }


def fields_of(document: object) -> Mapping[str, Any] | None:
    """The fields of a genotype in a mapping, or in a list in their order; None for other documents."""
    if isinstance(document, list) and len(document) == len(FIELDS):
        return dict(zip(FIELDS, document, strict=True))
    return document if isinstance(document, Mapping) and set(KINDS.values()) <= set(document) else None


def write(cells: Mapping[str, _Cell]) -> str:
    """Write cells with two pairs per node; the inverse of :func:`read`."""
    fields = []
    for kind, name in KINDS.items():
        nodes, concat = cells[kind]
        fields.append(f"{name}={[pair for pairs in nodes for pair in pairs]}, {name}_concat={list(concat)}")
    return f"Genotype({', '.join(fields)})"


def write_triples(cells: Mapping[str, _Cell]) -> str:
    """Write cells in triples; the inverse of :func:`read`.

    Raises:
        DataError: the outputs of a cell are not exactly its nodes with incoming edges, or triples cannot represent it.
    """
    fields = []
    for kind, name in KINDS.items():
        nodes, concat = cells[kind]
        triples = [
            (operation, node, source)
            for node, pairs in enumerate(nodes, DARTS.num_inputs)
            for operation, source in pairs
        ]
        if _of_triples(triples) != (nodes, concat):
            raise DataError(f"genotype: triples cannot represent the nodes and outputs of the {kind} cell; use JSON")
        fields.append(f"{name}={triples}")
    return f"Genotype({', '.join(fields)})"


def _keywords(tree: ast.expr) -> list[ast.keyword]:
    match tree:
        case ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords):
            return keywords
    raise DataError(f"genotype: expected Genotype(normal=..., ...), not {short(ast.dump(tree))}")


def _cell(name: str, items: Any, outputs: Any) -> _Cell:
    """The nodes of a cell and its outputs."""
    if not isinstance(items, tuple) or not isinstance(outputs, tuple | None):
        raise DataError(f"genotype: '{name}' and '{name}_concat' must be lists, not {short((items, outputs))}")
    if items and all(
        isinstance(node, tuple) and node and all(isinstance(pair, tuple) for pair in node) for node in items
    ):
        if any(len(node) != PAIRS for node in items):
            raise DataError(f"genotype: '{name}' has a node without two pairs; the textual form needs two per node")
        items = tuple(pair for node in items for pair in node)
    triples = bool(items) and isinstance(items[0], tuple) and len(items[0]) == 3
    if outputs is None and not triples:
        raise DataError(f"genotype: the field {name}_concat is missing")
    form, types = ("(operation, node, source)", [str, int, int]) if triples else ("(operation, source)", [str, int])
    for item in items:
        if not isinstance(item, tuple) or [type(value) for value in item] != types:
            raise DataError(f"genotype: '{name}' must contain {form}, not {short(item)}")
    if not all(isinstance(node, int) for node in outputs or ()):
        raise DataError(f"genotype: '{name}_concat' must contain node numbers, not {short(outputs)}")
    if triples or outputs is None:
        return _of_triples(list(items), outputs)
    if len(items) % PAIRS:
        raise DataError(f"genotype: '{name}' has {len(items)} pairs; the textual form needs two per node")
    return tuple(items[first : first + PAIRS] for first in range(0, len(items), PAIRS)), outputs


def _values(name: str, tree: ast.expr) -> tuple[Any, ...]:
    """The values of a list, tuple or range of literals."""
    match tree:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return tuple(item.value if isinstance(item, ast.Constant) else _values(name, item) for item in items)
        case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
            return _values(name, inner)
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(stop))], keywords=[]):
            return tuple(range(stop))
        case ast.Call(
            func=ast.Name(id="range"),
            args=[ast.Constant(value=int(start)), ast.Constant(value=int(stop))],
            keywords=[],
        ):
            return tuple(range(start, stop))
    raise DataError(f"genotype: '{name}' must be a list, at line {tree.lineno}, column {tree.col_offset + 1}")


def _tuples(value: Any, depth: int = 3) -> Any:
    """Lists and tuples as tuples, down to the pairs of a node."""
    if not isinstance(value, list | tuple) or not depth:
        return value
    return tuple(_tuples(one, depth - 1) for one in value)


def _of_triples(triples: list[tuple[str, int, int]], concat: tuple[int, ...] | None = None) -> _Cell:
    """Build a cell from triples (operation, node, source); it has at least as many nodes as the space."""
    numbers = {node for _, node, _ in triples}
    if not all(DARTS.num_inputs <= node <= MAX_NODE for node in numbers):
        raise DataError(f"genotype: triples lead to the nodes {short(sorted(numbers))}, not all from 2 to {MAX_NODE}")
    nodes, filled = [], set(range(DARTS.num_inputs))
    for node in range(DARTS.num_inputs, max(numbers | set(DARTS.targets)) + 1):
        # A source that is not before its node stays; the genotype's check refuses it.
        entering = [(name, source) for name, to, source in triples if to == node]
        nodes.append(tuple((name, source) for name, source in entering if source in filled or not 0 <= source < node))
        filled |= {node} if nodes[-1] else set()
    outputs = filled.difference(range(DARTS.num_inputs))
    return tuple(nodes), tuple(node for node in (sorted(outputs) if concat is None else concat) if node in outputs)
