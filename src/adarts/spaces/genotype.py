"""The genotype: the operations and edges of every kind of cell.

Genotypes are written as versioned JSON, which represents every genotype, or as text. The text of the DARTS space is the
classical one with two pairs per node, ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=[2, 3, 4, 5], reduce=[...],
reduce_concat=[...])``; the text of NAS-Bench-201 is the benchmark's, ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|``.
Triples of FairDARTS and configurations of NAS-Bench-301 can also be read and written. Nothing is ever evaluated, and invalid
input raises a one-line :class:`~adarts.errors.DataError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

from adarts.config.values import names_code
from adarts.errors import ConfigError, DataError
from adarts.spaces import arch_string, classical, nasbench301, nni
from adarts.spaces.description import Space
from adarts.spaces.limits import SIZE_LIMIT, check_size, short
from adarts.spaces.operation_names import OPERATION_NAMES, unknown_operation
from adarts.spaces.spaces import DARTS, NASBENCH201, OWN, described_space, get_space

FORMAT = "adarts-genotype"
VERSION = 1

Pair = tuple[str, int]
"""An operation and the node that it reads."""


@dataclass(frozen=True)
class CellGenotype:
    """One kind of cell.

    Attributes:
        nodes: for each intermediate node, its (operation, source) pairs; the node is their sum. Any number, also repeated.
        concat: the output nodes, which are concatenated.
    """

    nodes: tuple[tuple[Pair, ...], ...]
    concat: tuple[int, ...]


@dataclass(frozen=True)
class Genotype:
    """The cells of a network.

    Attributes:
        cells: one :class:`CellGenotype` for each kind of cell of the space.
        space: name of the space.
        remarks: remarks about its derivation; neither written to files nor compared.

    Raises:
        DataError: an unknown space, operation or kind of cell, a source that is not before its node, or an output or source
            without incoming edges.
    """

    cells: Mapping[str, CellGenotype]
    space: str = "darts"
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", dict(self.cells))
        try:
            if names_code(self.space):  # genotype files must not execute code
                raise ConfigError(f"unknown space {short(self.space)}")
            space = get_space(self.space)
        except ConfigError as error:
            raise DataError(f"genotype: {error}") from None
        if set(self.cells) != set(space.cell_kinds):
            found, needed = short(sorted(self.cells)), ", ".join(space.cell_kinds)
            raise DataError(f"genotype: it has the cells {found}; space '{space.name}' needs {needed}")
        for kind, cell in self.cells.items():
            _check_cell(kind, cell, space)

    def __hash__(self) -> int:
        return hash((self.space, tuple(sorted((kind, cell) for kind, cell in self.cells.items()))))

    def require_within(self, space: Space) -> None:
        """Check that a search of the space could have found these cells.

        Raises:
            DataError: another space, an operation that the space does not allow, `none`, or another number of nodes.
        """
        if self.space != space.name:
            raise DataError(f"the genotype is of the space '{self.space}', not of '{space.name}'")
        for kind, cell in self.cells.items():
            if len(cell.nodes) != space.num_nodes:
                needed = f"cells of '{space.name}' have {space.num_nodes}"
                raise DataError(f"the {kind} cell has {len(cell.nodes)} nodes; {needed}")
            for node, pairs in zip(space.targets, cell.nodes, strict=True):
                for operation, source in pairs:
                    row = space.allowed(kind)[space.edges.index((source, node))]
                    if operation == "none" or operation not in compress(space.operations, row):
                        edge = f"the edge from node {source} to node {node} of the {kind} cell"
                        written = operation == "none" and space.kept_edges is None
                        why = "which is written by leaving the pair out" if written else "which is not allowed"
                        raise DataError(f"{edge} has the operation '{operation}', {why} in '{space.name}'")

    @property
    def operations(self) -> set[str]:
        """The operations of all cells."""
        return {operation for cell in self.cells.values() for pairs in cell.nodes for operation, _ in pairs}

    def num_operations(self, kind: str, *names: str) -> int:
        """Number of pairs in a cell with one of these operations."""
        return sum(operation in names for pairs in self.cells[kind].nodes for operation, _ in pairs)

    def num_weight_free(self, kind: str) -> int:
        """Number of pairs in a cell with a weight-free operation."""
        return self.num_operations(kind, *get_space(self.space).weight_free)

    def by_edge(self, kind: str) -> dict[tuple[int, int], str]:
        """The operation of every edge (source, target) in a cell, without edges of `none`."""
        targets = enumerate(self.cells[kind].nodes, get_space(self.space).num_inputs)
        return {(source, target): operation for target, pairs in targets for operation, source in pairs}

    def mask(self, kind: str) -> list[list[bool]]:
        """For every edge of the space, a mask of the operation that the cell has on it; all False for an edge it leaves out."""
        space, kept = get_space(self.space), self.by_edge(kind)
        return [[kept.get(edge) == name for name in space.operations] for edge in space.edges]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as an object; includes the description of a space that is not part of the package."""
        cells = {
            kind: {"nodes": [[list(pair) for pair in pairs] for pairs in cell.nodes], "concat": list(cell.concat)}
            for kind, cell in self.cells.items()
        }
        space = self.space if self.space in OWN else get_space(self.space).to_dict()
        return {"format": FORMAT, "version": VERSION, "space": space, "cells": cells}

    @classmethod
    def from_dict(cls, document: object) -> Genotype:
        """Read the form of :meth:`to_dict`, a configuration or result of NAS-Bench-301, an export of NNI, or the fields of the
        classical text as a mapping or a list.

        Raises:
            DataError: the document is not a valid genotype.
        """
        if isinstance(document, Mapping):
            configuration = document.get(nasbench301.RESULT, document)
            if isinstance(configuration, Mapping) and nasbench301.is_configuration(configuration):
                nodes = nasbench301.read(configuration)
                return cls({kind: CellGenotype(nodes[kind], DARTS.outputs) for kind in nodes})
            if nni.is_export(document):
                return cls({kind: CellGenotype(nodes, DARTS.outputs) for kind, nodes in nni.read(document).items()})
        if (written := classical.fields_of(document)) is not None:
            return cls({kind: CellGenotype(*cell) for kind, cell in classical.read_fields(written).items()})
        fields = _fields(document, "genotype", {"format", "version", "space", "cells"})
        if fields["format"] != FORMAT:
            raise DataError(f"genotype: the format is {short(fields['format'])}, not '{FORMAT}'")
        if fields["version"] != VERSION:
            raise DataError(f"genotype: version {short(fields['version'])} is unknown; this adarts reads {VERSION}")
        space = fields["space"]
        if isinstance(space, Mapping):
            try:
                space = described_space(space).name
            except DataError as error:
                raise DataError(f"genotype: {error}") from None
        if not isinstance(space, str):
            raise DataError(f"genotype: the space must be a name or a description, not {short(space)}")
        if not isinstance(fields["cells"], Mapping):
            raise DataError(f"genotype: 'cells' must be an object, not {short(fields['cells'])}")
        return cls({kind: _read_cell(kind, cell) for kind, cell in fields["cells"].items()}, space)

    def to_json(self) -> str:
        """The JSON form as text."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Read JSON with a document of :meth:`from_dict`, or the same as Python writes a dictionary.

        Raises:
            DataError: the text is not JSON, or not a genotype.
        """
        check_size(text)
        if text.lstrip().startswith("{'"):
            return cls.from_text(text)
        try:
            document = json.loads(text)
        except ValueError as error:
            raise DataError(f"genotype: not JSON: {short(str(error))}") from None
        return cls.from_dict(document)

    @property
    def has_text(self) -> bool:
        """Whether :meth:`to_text` works: for NAS-Bench-201, and for the space `darts` with two pairs per node."""
        if self.space != DARTS.name:
            return self.space == NASBENCH201.name
        pairs = (pairs for cell in self.cells.values() for pairs in cell.nodes)
        return set(self.cells) == set(classical.KINDS) and all(len(p) == classical.PAIRS for p in pairs)

    def to_text(self) -> str:
        """The textual form: the classical one for `darts`, or the architecture string for NAS-Bench-201.

        Raises:
            DataError: the space has no textual form, or a node in `darts` does not have exactly two pairs.
        """
        if self.space == NASBENCH201.name:
            return arch_string.write(self.cells["normal"].nodes)
        if self.space != DARTS.name:
            raise DataError(f"genotype: the space '{self.space}' has no textual form; use the JSON form")
        if not self.has_text:
            raise DataError("genotype: the textual form needs two pairs per node; use the JSON form")
        return classical.write({kind: (cell.nodes, cell.concat) for kind, cell in self.cells.items()})

    def to_triples(self) -> str:
        """The text in triples (operation, node, source) as in FairDARTS, for any number of pairs per node.

        Raises:
            DataError: another space, or the outputs of a cell are not exactly its nodes with incoming edges.
        """
        self._require_darts("triples")
        return classical.write_triples({kind: (cell.nodes, cell.concat) for kind, cell in self.cells.items()})

    def to_nasbench301(self) -> dict[str, str]:
        """The configuration of NAS-Bench-301; it does not represent the order of a node's pairs.

        Raises:
            DataError: the benchmark does not contain such cells.
        """
        self._require_darts("NAS-Bench-301")
        for kind, cell in self.cells.items():
            if cell.concat != DARTS.outputs:
                puts = f"the {kind} cell has the outputs {short(cell.concat)}"
                raise DataError(f"genotype: {puts}; in NAS-Bench-301 all nodes are outputs")
        return nasbench301.write({kind: cell.nodes for kind, cell in self.cells.items()})

    def _require_darts(self, what: str) -> None:
        if self.space != DARTS.name:
            raise DataError(f"genotype: {what} cannot represent a cell of the space '{self.space}'; use the JSON form")

    @classmethod
    def parse(cls, text: str) -> Genotype:
        """Read JSON, or any form of :meth:`from_text`.

        Raises:
            DataError: it is neither.
        """
        return cls.from_json(text) if text.lstrip()[:1] in ("{", "[") else cls.from_text(text)

    @classmethod
    def from_text(cls, text: str) -> Genotype:
        """Read the classical text, triples of FairDARTS (both optionally after ``NAME =``), or text of NAS-Bench-201.

        Raises:
            DataError: the text has another form, or contains unknown names.
        """
        check_size(text)
        if text.lstrip().startswith("|"):
            cell = CellGenotype(arch_string.read(text), NASBENCH201.outputs)
            return cls({"normal": cell}, NASBENCH201.name)
        return cls({kind: CellGenotype(nodes, concat) for kind, (nodes, concat) in classical.read(text).items()})


def load_genotype(path: str | Path) -> Genotype:
    """Read a genotype file, JSON or text.

    Raises:
        DataError: the file cannot be read, or is not a genotype.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
        text = content.decode("utf-8-sig")
        return Genotype.parse(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise DataError(f"cannot read the genotype file {str(path)!r}: {reason}") from None
    except DataError as error:
        raise DataError(f"{str(path)!r}: {error}") from None


def _check_cell(kind: str, cell: CellGenotype, space: Space) -> None:
    """Raise a DataError if the cell cannot be built."""
    if problem := next(_problems(cell, space), None):
        raise DataError(f"genotype: {kind} cell{problem}")


def _problems(cell: CellGenotype, space: Space) -> Iterator[str]:
    """Problems with a cell, in order; each check assumes that the earlier ones passed."""
    first, last = space.num_inputs, space.num_inputs + len(cell.nodes) - 1
    filled = set(range(first))
    if space.kept_edges is None:  # cells of such a space have all nodes and edges
        if len(cell.nodes) != space.num_nodes or cell.concat != space.outputs:
            yield f": a cell of '{space.name}' has {space.num_nodes} nodes and the output {space.outputs}"
        if any(len({source for _, source in pairs}) != len(pairs) for pairs in cell.nodes):
            yield f": an edge of '{space.name}' has only one operation"
    for node, pairs in enumerate(cell.nodes, first):
        for operation, source in pairs:
            if operation not in OPERATION_NAMES:
                yield f", node {node}: {unknown_operation(operation)}"
            if not 0 <= source < node:
                yield f", node {node}: source {short(source)} is not before it (0 to {node - 1})"
            if source not in filled and space.kept_edges is not None:  # otherwise the source is zero
                yield f", node {node}: no edge enters its source {source}"
        filled |= {node} if pairs else set()
    if not cell.concat or len(set(cell.concat)) != len(cell.concat):
        yield f": concat must name different nodes, not {short(cell.concat)}"
    for node in cell.concat:
        if not first <= node <= last:
            yield f": concat names node {short(node)}, outside {first} to {last}"
        if node not in filled and space.kept_edges is not None:
            yield f": concat names node {node}, which no edge enters"


def _fields(document: object, what: str, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise DataError(f"{what}: expected an object, not {short(document)}")
    if set(document) != names:
        found, needed = short(sorted(map(str, document))), ", ".join(sorted(names))
        raise DataError(f"{what}: expected the fields {needed}, not {found}")
    return document


def _read_cell(kind: str, document: object) -> CellGenotype:
    what = f"genotype: cell {short(kind)}"
    fields = _fields(document, what, {"nodes", "concat"})
    nodes, concat = fields["nodes"], fields["concat"]
    if not isinstance(concat, list) or not all(type(node) is int for node in concat):
        raise DataError(f"{what}: concat must be a list of node numbers, not {short(concat)}")
    if not isinstance(nodes, list) or not all(isinstance(pairs, list) for pairs in nodes):
        raise DataError(f"{what}: nodes must be a list of lists of pairs, not {short(nodes)}")
    return CellGenotype(tuple(tuple(_read_pair(what, pair) for pair in pairs) for pairs in nodes), tuple(concat))


def _read_pair(what: str, pair: object) -> Pair:
    match pair:
        case [str(operation), int(source)] if type(source) is int:
            return operation, source
    raise DataError(f"{what}: expected a pair [operation, source], not {short(pair)}")
