"""What a search space is: operations, nodes, edges, kinds of cells and how they make a network.

Nodes of a cell are numbered from 0: first its inputs, then the intermediate nodes. Methods, supernet, networks and monitors
are written against this description, not against eight operations and fourteen edges. The spaces themselves stand in
:mod:`adarts.spaces.spaces`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

Row = tuple[str, ...]
"""Operations that one edge may have."""


@dataclass(frozen=True)
class Space:
    """A cell-based search space.

    Attributes:
        name: as written in genotypes.
        title: as people call it.
        operations: candidate operations, in the order of the architecture alphas.
        cell_kinds: kinds of cells, each with its own architecture; the first is that of most cells.
        num_inputs: input nodes of a cell: 2 for the outputs of the two cells before it, 1 for that of the last one.
        num_nodes: intermediate nodes of a cell.
        kept_edges: incoming edges that a node keeps in the derived cell. None keeps all of them, each with the best of its
            operations, `none` among them; a node that nothing enters then is zero.
        weight_free: the operations without weights in the sense of the paper; a cell of mostly these has collapsed.
        max_skips: more skip connections than this in a cell of the first kind are called a collapse.
        reduction_kind: the kind whose cells halve the image and double the channels; None where residual blocks between the
            cells do that.
        stem_multiplier: channels of the stem, as a multiple of those of the first cells.
        all_nodes: the concatenation of the nodes leaves a cell; otherwise the last node.
        preprocessed: a 1x1 convolution brings each input of a cell to the cell's width.
        normalized_pools: in the supernet, a batch normalization follows a pool.
        candidates: for each kind the operations of every edge, where these differ; none is all of them.
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
    candidates: tuple[tuple[Row, ...], ...] | None = None

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges (source, target), ordered by target, then by source."""
        return tuple((source, target) for target in self.targets for source in range(target))

    @property
    def targets(self) -> range:
        """The intermediate nodes, which edges lead to."""
        return range(self.num_inputs, self.num_inputs + self.num_nodes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The nodes whose concatenation leaves a cell, as long as something enters them."""
        return tuple(self.targets) if self.all_nodes else (self.targets[-1],)

    @property
    def draws(self) -> bool:
        """Whether an operation draws from torch's generator in every pass."""
        return "noise" in self.operations

    def incoming(self, target: int) -> tuple[int, ...]:
        """Indices in :attr:`edges` of the edges that enter a node."""
        return tuple(index for index, edge in enumerate(self.edges) if edge[1] == target)

    def outgoing(self, source: int) -> tuple[int, ...]:
        """Indices in :attr:`edges` of the edges that leave a node."""
        return tuple(index for index, edge in enumerate(self.edges) if edge[0] == source)

    @cached_property
    def leaving(self) -> tuple[tuple[int, ...], ...]:
        """For every node that edges leave, those edges; nothing leaves the last node but the output of the cell."""
        return tuple(self.outgoing(source) for source in range(self.targets[-1]))

    def allowed(self, kind: str) -> list[list[bool]]:
        """For every edge of a kind of cell, which operations it may have."""
        if self.candidates is None:
            return [[True] * len(self.operations) for _ in self.edges]
        rows = self.candidates[self.cell_kinds.index(kind)]
        return [[name in row for name in self.operations] for row in rows]

    def num_kept(self, target: int) -> int:
        """How many of the edges that enter a node stay in the derived cell."""
        entering = len(self.incoming(target))
        return entering if self.kept_edges is None else min(self.kept_edges, entering)

    def stride(self, kind: str, source: int) -> int:
        """Stride of the edges that leave a node: only the inputs of a reduction cell are halved."""
        return 2 if kind == self.reduction_kind and source < self.num_inputs else 1

    def reductions(self, num_cells: int) -> tuple[int, ...]:
        """Where the image is halved: at one and at two thirds of the cells, in or before the cell of this index."""
        return tuple(sorted({num_cells // 3, 2 * num_cells // 3}))

    def cell_kind(self, index: int, num_cells: int) -> str:
        """Kind of the cell at a place in the network."""
        if self.reduction_kind is not None and index in self.reductions(num_cells):
            return self.reduction_kind
        return self.cell_kinds[0]
