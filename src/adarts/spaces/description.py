"""The description of a search space: operations, nodes, edges, kinds of cells, and the network they form.

Nodes of a cell are numbered from 0: first its inputs, then the intermediate nodes. Methods, supernet, networks and monitors
use this description instead of fixed numbers of operations and edges. The spaces are in :mod:`adarts.spaces.spaces`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import compress
from typing import Any

from adarts.errors import ConfigError
from adarts.spaces.operation_names import WITHOUT_DRAWS

Candidates = tuple[str, ...]
"""The operations allowed on one edge."""

MOST_NODES = 20
"""Largest number of nodes in a cell; protects against untrusted files."""


@dataclass(frozen=True)
class Space:
    """A cell-based search space. All values are plain; use ``dataclasses.replace`` to make variants.

    Attributes:
        name: name in genotypes.
        title: usual name.
        operations: candidate operations, in the order of the alphas.
        cell_kinds: kinds of cells, each with its own architecture; most cells are of the first kind.
        num_inputs: input nodes of a cell: 2 for the outputs of the two previous cells, 1 for the last one only.
        num_nodes: intermediate nodes of a cell.
        kept_edges: incoming edges that a node keeps in the derived cell. None keeps all edges, each with its best operation,
            which may be `none`; a node without incoming edges is then zero.
        weight_free: the weight-free operations in the sense of the paper; a cell that mostly consists of them has collapsed.
        max_skips: a cell of the first kind with more skip connections than this has collapsed.
        reduction_kind: kind of the cells that halve the image and double the channels; None if residual blocks between the
            cells do that.
        stem_multiplier: channels of the stem, as a multiple of the first cells' channels.
        all_nodes: the output of a cell is the concatenation of all nodes; otherwise it is the last node.
        preprocessed: a 1x1 convolution maps each input of a cell to the cell's width.
        normalized_pools: in the supernet, batch normalization follows each pool.
        candidates: for each kind, the operations of every edge, if they differ; None allows all of them.

    Raises:
        ConfigError: a value is invalid, or values do not fit together.
    """

    name: str
    title: str
    operations: tuple[str, ...]
    cell_kinds: tuple[str, ...]
    num_inputs: int
    num_nodes: int
    kept_edges: int | None
    weight_free: frozenset[str]
    max_skips: int
    reduction_kind: str | None = "reduction"
    stem_multiplier: int = 3
    all_nodes: bool = True
    preprocessed: bool = True
    normalized_pools: bool = True
    candidates: tuple[tuple[Candidates, ...], ...] | None = None

    def __post_init__(self) -> None:
        try:
            for name, kind in (("operations", tuple), ("cell_kinds", tuple), ("weight_free", frozenset)):
                object.__setattr__(self, name, kind(getattr(self, name)))
            if self.candidates is not None:
                rows = tuple(tuple(map(tuple, of_kind)) for of_kind in self.candidates)
                object.__setattr__(self, "candidates", rows)
            problem = next(self._problems(), None)
        except TypeError as error:
            problem = f"a value of the wrong type: {error}"
        if problem is not None:
            raise ConfigError(f"space {self.name!r:.60}: {problem}")

    def _problems(self) -> Iterator[str]:
        """Problems with the values, in order; each check assumes that the earlier ones passed."""
        kinds, names = self.cell_kinds, (*self.operations, *self.cell_kinds, *self.weight_free)
        if not (isinstance(self.name, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", self.name)):
            yield "its name must be small letters, digits, - and _, 60 at most"
        if not isinstance(self.title, str):
            yield f"title must be a string, not {self.title!r:.60}"
        for name in names:
            if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w{0,39}", name, re.ASCII)):
                yield f"operations and kinds have names such as 'sep_conv_3x3', not {name!r:.60}"
        if len({*self.operations, *kinds}) < len(self.operations) + len(kinds):
            yield "an operation or a kind of cell is named twice"
        numbers = {"num_nodes": (1, MOST_NODES), "stem_multiplier": (1, 16), "max_skips": (0, 10**6)}
        if self.kept_edges is not None:
            numbers["kept_edges"] = (1, MOST_NODES)
        for field, (least, most) in numbers.items():
            number = getattr(self, field)
            if type(number) is not int or not least <= number <= most:
                yield f"{field} must be a whole number from {least} to {most}, not {number!r:.60}"
        if set(self.operations) <= {"none"}:
            yield "operations must contain one besides 'none'"
        wanted = [*kinds[:1], *([] if self.reduction_kind is None else [self.reduction_kind])]
        if not kinds or list(kinds) != wanted:
            yield f"cell_kinds must be one kind, followed by reduction_kind if that is not None, not {list(kinds)}"
        flags = (self.preprocessed, self.all_nodes, self.normalized_pools)
        if not all(isinstance(flag, bool) for flag in flags):
            yield "preprocessed, all_nodes and normalized_pools must be True or False"
        two, one = (2, True, False), (1, False, True)
        if (self.num_inputs, self.preprocessed, self.reduction_kind is None) not in (two, one):
            yield "a cell needs two inputs, preprocessed=True and a reduction_kind; or one input, preprocessed=False and none"
        if self.num_inputs == 1 and (self.stem_multiplier != 1 or len(self.outputs) != 1):
            yield "a cell with one input needs stem_multiplier 1 and one output: all_nodes False, or num_nodes 1"
        if not self.all_nodes and self.kept_edges is not None:
            yield "if all_nodes is False, every edge is kept, so kept_edges must be None"
        if self.candidates is not None:
            if [len(rows) for rows in self.candidates] != [len(self.edges)] * len(kinds):
                yield f"candidates must have a row for each of the {len(self.edges)} edges, for each kind of cell"
            for row in (row for rows in self.candidates for row in rows):
                if not set(row) <= set(self.operations) or set(row) <= {"none"}:
                    yield f"candidates: an edge needs an operation of the space besides 'none', not {list(row)}"

    def to_dict(self) -> dict[str, Any]:
        """The description as plain data for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "weight_free": sorted(self.weight_free)}

    @classmethod
    def from_dict(cls, document: Mapping[Any, Any]) -> Space:
        """Read the form of :meth:`to_dict`.

        Raises:
            ConfigError: the document is not a valid description of a space.
        """
        known = {field.name for field in fields(cls)}
        if set(document) != known:
            raise ConfigError(f"space: expected the fields {', '.join(sorted(known))}")
        return cls(**document)

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges (source, target), ordered by target, then by source."""
        return tuple((source, target) for target in self.targets for source in range(target))

    @property
    def targets(self) -> range:
        """The intermediate nodes; all edges end in one of them."""
        return range(self.num_inputs, self.num_inputs + self.num_nodes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The output nodes of a cell, which are concatenated; derived cells may omit nodes without incoming edges."""
        return tuple(self.targets) if self.all_nodes else (self.targets[-1],)

    @property
    def draws(self) -> bool:
        """Whether an operation draws, or may draw, random numbers from torch's generator."""
        return not WITHOUT_DRAWS.issuperset(self.operations)

    def incoming(self, target: int) -> tuple[int, ...]:
        """Indices in :attr:`edges` of the edges that enter a node."""
        return tuple(index for index, edge in enumerate(self.edges) if edge[1] == target)

    def outgoing(self, source: int) -> tuple[int, ...]:
        """Indices in :attr:`edges` of the edges that leave a node."""
        return tuple(index for index, edge in enumerate(self.edges) if edge[0] == source)

    @cached_property
    def leaving(self) -> tuple[tuple[int, ...], ...]:
        """For every node except the last one, the edges that leave it."""
        return tuple(self.outgoing(source) for source in range(self.targets[-1]))

    def allowed(self, kind: str) -> list[list[bool]]:
        """For every edge of a kind of cell, a mask of the allowed operations."""
        if self.candidates is None:
            return [[True] * len(self.operations) for _ in self.edges]
        rows = self.candidates[self.cell_kinds.index(kind)]
        return [[name in row for name in self.operations] for row in rows]

    @cached_property
    def choices(self) -> dict[str, dict[tuple[int, int], tuple[str, ...]]]:
        """For each kind and edge (source, target), the operations that the edge of a derived cell may have.

        `none` is one of them only in a space that keeps every edge.
        """
        return {
            kind: {
                edge: tuple(
                    name for name in compress(self.operations, row) if name != "none" or self.kept_edges is None
                )
                for edge, row in zip(self.edges, self.allowed(kind), strict=True)
            }
            for kind in self.cell_kinds
        }

    def num_kept(self, target: int) -> int:
        """Number of incoming edges that a node keeps in the derived cell."""
        entering = len(self.incoming(target))
        return entering if self.kept_edges is None else min(self.kept_edges, entering)

    def stride(self, kind: str, source: int) -> int:
        """Stride of the edges that leave a node: 2 for the inputs of a reduction cell, else 1."""
        return 2 if kind == self.reduction_kind and source < self.num_inputs else 1

    def reductions(self, num_cells: int) -> tuple[int, ...]:
        """Indices of the cells in or before which the image is halved: at one and two thirds of the cells."""
        return tuple(sorted({num_cells // 3, 2 * num_cells // 3}))

    def cell_kind(self, index: int, num_cells: int) -> str:
        """Kind of the cell with an index in the network."""
        if self.reduction_kind is not None and index in self.reductions(num_cells):
            return self.reduction_kind
        return self.cell_kinds[0]
