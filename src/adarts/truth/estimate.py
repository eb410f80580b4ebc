"""Estimate the accuracy of cells of the DARTS space, without training them.

A kernel ridge regression on 1,218 published pairs of cells and accuracies (see `README.md` and `NOTICE` beside this file). It is
fitted on first use, in about a quarter of a second, with numpy alone.

Cells are arrays (n, 2, 14): for the normal and the reduction cell, the operation of every edge as an index in the space's
operations, 0 for an edge that the cell does not keep.

Shape suffixes: n cells, k kinds of cells, e edges, o operations, m cells of the table, f features.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from adarts.errors import ConfigError, DataError

if TYPE_CHECKING:
    from adarts.spaces import Genotype

Cells = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SPACES = ("darts", "s1", "s2", "s3", "s4")
"""The DARTS space and its subspaces."""

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The operations of the space `darts`, in its order; an estimate knows all but `none`."""

KINDS = ("normal", "reduction")
NODES = range(2, 6)
EDGES = tuple((source, node) for node in NODES for source in range(node))

FIGURE = "validation accuracy, 98 epochs"
"""What is estimated, in percent on CIFAR-10, of the network with `CELLS` cells and `CHANNELS` channels."""

CELLS, CHANNELS = 8, 32

ERROR, TAU = 0.18, 0.81
"""Root mean square error in percentage points, and Kendall's tau, in nested cross-validation on the table."""

MOST_SKIPS = 4
"""Most skip connections in the normal cells of the table."""

HIGHEST = 94.9
"""An estimate above this extrapolates; the highest accuracy in the table is 94.49."""

_FILE = resources.files("adarts.truth") / "nasbench301.csv.gz"
_INTO = {node: [index for index, edge in enumerate(EDGES) if edge[1] == node] for node in NODES}
_PAIRS = {node: list(combinations(edges, 2)) for node, edges in _INTO.items()}
_GAMMA, _RIDGE, _COUNT_WEIGHT = 0.005, 0.02, 0.8  # chosen by cross-validation on the table
_BLOCK = 4096  # cells that are estimated at once, which bounds the memory


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate of a cell. No network was trained for it.

    Attributes:
        arch: the cell as text, ``Genotype(normal=[...], ...)``.
        cifar10: estimated validation accuracy on CIFAR-10 in percent, after 98 epochs, with 8 cells and 32 channels.
        beyond: why the estimate is beyond its data and not to be trusted; None if it is within them.
        estimated: True, to tell it from a measurement.
        figure: what is estimated.
        error: root mean square error of the estimates of single cells, in percentage points.
        tau: Kendall's tau of the estimates with the accuracies of cells that were left out.
    """

    arch: str
    cifar10: float
    beyond: str | None
    estimated: bool = True
    figure: str = f"{FIGURE}, {CELLS} cells, {CHANNELS} channels"
    error: float = ERROR
    tau: float = TAU

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The names of the data sets on which accuracies are estimated."""
        return ("cifar10",)

    def accuracy(self, dataset: str) -> float:
        """The estimated accuracy on a data set, in percent.

        Raises:
            ConfigError: another data set than `cifar10`.
        """
        if dataset != "cifar10":
            raise ConfigError(f"no accuracies are estimated on {dataset[:60]!r}, only on 'cifar10'")
        return self.cifar10

    def record(self) -> dict[str, Any]:
        """The estimate as plain data, for metrics and summaries."""
        return {"cifar10": self.cifar10, "estimated": True, "error": self.error, "beyond": self.beyond}


class KernelRidge:
    """A kernel ridge regression on cells with a Gaussian kernel.

    Its features are the operation of every edge and the pair of sources of every node, one-hot, and the number of times that
    each kind of cell has each operation, standardized.

    Args:
        cells: the cells (m, 2, 14) to learn from.
        accuracies: their accuracies (m,).
    """

    def __init__(self, cells: Cells, accuracies: Numbers) -> None:
        counts = _counts(cells)
        self.mean, self.sd, self.level = counts.mean(0), counts.std(0), accuracies.mean()
        self.known_mf = self._features(cells)
        kernel_mm = self._kernel(self.known_mf) + _RIDGE * np.eye(len(cells))
        self.dual_m = np.linalg.solve(kernel_mm, accuracies - self.level)

    def __call__(self, cells: Cells) -> Numbers:
        """The estimates (n,) of cells (n, 2, 14)."""
        blocks = (cells[start : start + _BLOCK] for start in range(0, len(cells), _BLOCK))
        return np.concatenate([self.level + self._kernel(self._features(block)) @ self.dual_m for block in blocks])

    def _features(self, cells: Cells) -> Numbers:
        operations = (cells[..., None] == np.arange(len(OPERATIONS))).reshape(len(cells), -1)
        pairs = [(cells[:, :, a] > 0) & (cells[:, :, b] > 0) for node in NODES for a, b in _PAIRS[node]]
        counts = _COUNT_WEIGHT * (_counts(cells) - self.mean) / self.sd
        return np.concatenate([operations, *pairs, counts], axis=1, dtype=float)

    def _kernel(self, features_nf: Numbers) -> Numbers:
        """exp(-gamma |a - b|²) of cells a and known cells b."""
        known_mf = self.known_mf
        squares = (features_nf**2).sum(1)[:, None] + (known_mf**2).sum(1) - 2 * features_nf @ known_mf.T
        return np.asarray(np.exp(-_GAMMA * squares.clip(0)))


def _counts(cells: Cells) -> Numbers:
    """How often each kind of cell has each operation, (n, 14)."""
    counts_nko: Numbers = (cells[..., None] == np.arange(1, len(OPERATIONS))).sum(2, dtype=float)
    return counts_nko.reshape(len(cells), -1)


@cache
def table() -> tuple[Cells, Numbers]:
    """The published cells (m, 2, 14) and their accuracies (m,) in percent."""
    with _FILE.open("rb") as packed, gzip.open(packed) as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, encoding="ascii")))
    cells = np.array([[[int(digit) for digit in row[kind]] for kind in KINDS] for row in rows], dtype=np.int8)
    return cells, np.array([float(row["accuracy"]) for row in rows])


@cache
def _model() -> KernelRidge:
    return KernelRidge(*table())


def estimates(cells: Cells) -> Numbers:
    """The estimated accuracies (n,) of cells (n, 2, 14), in percent."""
    return _model()(cells)


def estimate_of(genotype: Genotype) -> Estimate:
    """Estimate a genotype.

    Raises:
        DataError: there is no estimate for such cells; the message names the reason.
    """
    from adarts.spaces import classical

    cell = encode(genotype)
    accuracy = round(float(estimates(cell[None])[0]), 4)
    nodes = {kind: (part.nodes, part.concat) for kind, part in genotype.cells.items()}
    return Estimate(classical.write(nodes), accuracy, _beyond(cell, accuracy))


def _beyond(cell: Cells, accuracy: float) -> str | None:
    if (skips := int((cell[0] == OPERATIONS.index("skip_connect")).sum())) > MOST_SKIPS:
        return f"{skips} skip connections in the normal cell; the data has at most {MOST_SKIPS}"
    return f"above {HIGHEST} %; the data ends at 94.49 %" if accuracy > HIGHEST else None


def encode(genotype: Genotype) -> Cells:
    """A genotype as an array (2, 14).

    Raises:
        DataError: there is no estimate for such cells.
    """
    if genotype.space not in SPACES:
        raise DataError(f"no estimate: the genotype is of the space '{genotype.space}', not of {', '.join(SPACES)}")
    cell = np.zeros((len(KINDS), len(EDGES)), dtype=np.int8)
    for row, kind in zip(cell, KINDS, strict=True):
        part = genotype.cells[kind]
        if len(part.nodes) != len(NODES) or set(part.concat) != set(NODES):
            raise DataError(f"no estimate: the {kind} cell needs 4 nodes, all of them outputs")
        for node, pairs in zip(NODES, part.nodes, strict=True):
            where = f"no estimate: {kind} cell, node {node}"
            if len(pairs) != 2:
                raise DataError(f"{where} needs 2 inputs, not {len(pairs)}")
            if pairs[0][1] == pairs[1][1]:
                raise DataError(f"{where} has two edges from node {pairs[0][1]}")
            for operation, source in pairs:
                if operation not in OPERATIONS[1:]:
                    raise DataError(f"{where} has the operation '{operation}'; known are {', '.join(OPERATIONS[1:])}")
                row[EDGES.index((source, node))] = OPERATIONS.index(operation)
    return cell


def decode(cell: Cells, space: str = "darts") -> Genotype:
    """The genotype of an array (2, 14); the inverse of :func:`encode`, apart from the order of a node's pairs."""
    from adarts.spaces import CellGenotype, Genotype

    def part(row: Cells) -> CellGenotype:
        nodes = ([(OPERATIONS[row[e]], EDGES[e][0]) for e in _INTO[node] if row[e]] for node in NODES)
        return CellGenotype(tuple(map(tuple, nodes)), tuple(NODES))

    return Genotype({kind: part(row) for kind, row in zip(KINDS, cell, strict=True)}, space)


def allow(*operations: str) -> Mask:
    """The mask (14, 8) for :func:`random_cells` that allows these operations on every edge."""
    return np.tile([name in operations for name in OPERATIONS], (len(EDGES), 1))


def random_cells(number: int, seed: int | Sequence[int], allowed_keo: Mask) -> Cells:
    """Draw cells (n, 2, 14): for each node two distinct edges, then their operations, all uniformly.

    Args:
        number: number of cells.
        seed: one number or several.
        allowed_keo: mask (2, 14, 8) of the operations that an edge may have; `none` is never drawn.

    Raises:
        DataError: a node has fewer than two edges with an allowed operation.
    """
    random = np.random.default_rng(seed)
    cells = np.zeros((number, len(KINDS), len(EDGES)), dtype=np.int8)
    for kind, allowed_eo in enumerate(allowed_keo):
        choices = [np.flatnonzero(row[1:]) + 1 for row in allowed_eo]
        for node in NODES:
            pairs = [pair for pair in _PAIRS[node] if all(len(choices[edge]) for edge in pair)]
            if not pairs:
                raise DataError(f"node {node} has fewer than two edges with an allowed operation")
            kept = np.array(pairs)[random.integers(len(pairs), size=number)]
            for edge in (edge for edge in _INTO[node] if len(choices[edge])):
                drawn = choices[edge][random.integers(len(choices[edge]), size=number)]
                cells[:, kind, edge] = np.where((kept == edge).any(1), drawn, 0)
    return cells
