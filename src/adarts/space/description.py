"""What a search space is: operations, nodes, edges, kinds of cells and where they stand in the network.

Nodes of a cell are numbered from 0: first its inputs, then the intermediate nodes. Methods, supernet and monitors are
written against this description, not against eight operations and fourteen edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from adarts.errors import ConfigError, nearest


@dataclass(frozen=True)
class Space:
    """A cell-based search space.

    Attributes:
        name: as written in genotypes.
        operations: candidate operations of every edge, in the order of the architecture logits.
        cell_kinds: kinds of cells, each with its own architecture.
        num_inputs: input nodes of a cell (outputs of the cells before it).
        num_nodes: intermediate nodes of a cell.
        kept_edges: incoming edges that a node keeps in the derived cell.
        weight_free: the operations without weights in the sense of the paper; a cell of mostly these has collapsed.
        reduction_kind: the kind whose cells halve the image and double the channels.
    """

    name: str
    operations: tuple[str, ...]
    cell_kinds: tuple[str, ...]
    num_inputs: int
    num_nodes: int
    kept_edges: int
    weight_free: frozenset[str]
    reduction_kind: str = "reduction"

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges (source, target), ordered by target, then by source."""
        return tuple((source, target) for target in self.targets for source in range(target))

    @property
    def targets(self) -> range:
        """The intermediate nodes, which edges lead to."""
        return range(self.num_inputs, self.num_inputs + self.num_nodes)

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

    def stride(self, kind: str, source: int) -> int:
        """Stride of the edges that leave a node: only the inputs of a reduction cell are halved."""
        return 2 if kind == self.reduction_kind and source < self.num_inputs else 1

    def reductions(self, num_cells: int) -> tuple[int, ...]:
        """Indices of the reduction cells: at one and at two thirds of the network."""
        return tuple(sorted({num_cells // 3, 2 * num_cells // 3}))

    def cell_kind(self, index: int, num_cells: int) -> str:
        """Kind of the cell at a place in the network."""
        return self.reduction_kind if index in self.reductions(num_cells) else self.cell_kinds[0]


MAX_SKIPS = 2
"""More skip connections than this in the normal cell are called a collapse (the criterion of DARTS+ and P-DARTS)."""

DARTS = Space(
    name="darts",
    operations=(
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    cell_kinds=("normal", "reduction"),
    num_inputs=2,
    num_nodes=4,
    kept_edges=2,
    weight_free=frozenset({"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"}),
)

_SPACES = {space.name: space for space in (DARTS,)}


def get_space(name: str) -> Space:
    """The space of a name.

    Raises:
        ConfigError: there is no such space.
    """
    if name not in _SPACES:
        raise ConfigError(f"unknown search space {name[:60]!r}{nearest(name[:60], _SPACES)}")
    return _SPACES[name]
