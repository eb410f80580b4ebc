"""Floors: what cells are worth that need no search. A method that does not beat them has found nothing.

In NAS-Bench-201 that is a random cell. In the DARTS space, capacity alone does well, so a search is also held against the largest
random cells and against cells of separable convolutions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from adarts import zoo
from adarts.errors import DataError
from adarts.models.cost import operation_sizes
from adarts.report.numbers import Spread
from adarts.spaces import get_space
from adarts.truth.estimate import (
    CELLS,
    CHANNELS,
    EDGES,
    KINDS,
    OPERATIONS,
    Cells,
    Mask,
    Numbers,
    allow,
    estimate_of,
    estimates,
    random_cells,
)
from adarts.truth.table import DATA_SETS, all_truths

NUMBER = 1000
"""Cells of each kind that are drawn."""

LARGEST = 0.005
"""Share of the random cells that counts as the largest ones."""

_DRAWN_FOR_LARGEST = 60_000
_SEPARABLE = "sep_conv_3x3", "sep_conv_5x5"


@dataclass(frozen=True)
class Accuracy:
    """Accuracies of several cells in percent: spread, worst and best."""

    spread: Spread
    worst: float
    best: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Accuracy:
        """The summary of at least one accuracy."""
        values = list(values)
        return cls(Spread.of(values), min(values), max(values))


@dataclass(frozen=True)
class Floor:
    """Cells that need no search.

    Attributes:
        name: which cells.
        accuracies: their accuracies by data set.
    """

    name: str
    accuracies: Mapping[str, Accuracy]

    def record(self) -> dict[str, Any]:
        """The floor as plain data: its name, and spread, worst and best by data set."""
        found = self.accuracies.items()
        return {"name": self.name} | {
            dataset: {**asdict(one.spread), "worst": one.worst, "best": one.best} for dataset, one in found
        }


@cache
def nasbench201_floors() -> tuple[Floor, ...]:
    """All cells of NAS-Bench-201, i.e. what a random cell is worth."""
    truths = all_truths()
    return (Floor("all cells", {name: Accuracy.of(t.accuracy(name) for t in truths) for name in DATA_SETS}),)


@cache
def darts_floors(space: str) -> tuple[Floor, ...]:
    """Estimated accuracies of cells that need no search, with a fixed seed.

    Args:
        space: the DARTS space, or one of its subspaces, for which there are only its random cells. Those of S4 are without
            noise, which has no estimate.
    """
    unknown = set(get_space(space).operations) - set(OPERATIONS)
    name = f"random cells without {', '.join(sorted(unknown))}" if unknown else "random cells"
    found = {name: estimates(random_cells(NUMBER, 0, mask_of(space)))}
    if space == "darts":
        separable = allow(*_SEPARABLE)
        with_skips = allow(*_SEPARABLE, "skip_connect")
        largest = largest_of(random_cells(_DRAWN_FOR_LARGEST, 1, mask_of(space)))
        found |= {
            f"largest {100 * LARGEST:g} % of random cells": estimates(largest),
            "separable convolutions": estimates(random_cells(NUMBER, 2, np.stack([separable, separable]))),
            "separable convolutions, skips in the normal cell": estimates(
                random_cells(NUMBER, 3, np.stack([with_skips, separable]))
            ),
            "published cells": published(),
        }
    return tuple(Floor(name, {"cifar10": Accuracy.of(values.tolist())}) for name, values in found.items())


def published() -> Numbers:
    """The estimates of the zoo's cells that are within the data of the estimate."""
    values = []
    for entry in zoo.entries():
        try:
            found = estimate_of(entry.genotype)
        except DataError:  # other operations, or not two inputs a node
            continue
        if found.beyond is None:
            values.append(found.cifar10)
    return np.array(values)


def mask_of(space: str) -> Mask:
    """What every edge may be in a space, as for :func:`~adarts.truth.estimate.random_cells`."""
    described = get_space(space)
    return as_mask(described.operations, {kind: described.allowed(kind) for kind in described.cell_kinds})


def as_mask(operations: Iterable[str], active: Mapping[str, list[list[bool]]]) -> Mask:
    """Masks of a space's operations by kind of cell as one mask (2, 14, 8), without operations that have no estimate."""
    mask = np.zeros((len(KINDS), len(EDGES), len(OPERATIONS)), dtype=bool)
    for index, name in enumerate(operations):
        if name in OPERATIONS[1:]:
            for kind, of_kind in zip(KINDS, mask, strict=True):
                of_kind[:, OPERATIONS.index(name)] = [row[index] for row in active[kind]]
    return mask


def largest_of(cells: Cells) -> Cells:
    """The cells (n, 2, 14) with the most parameters: the share `LARGEST` of them."""
    order = np.argsort(-parameters(cells), kind="stable")
    return cells[order[: round(LARGEST * len(cells))]]


def parameters(cells: Cells) -> Numbers:
    """Parameters (n,) of the operations in the network of the estimate, with 8 cells and 32 channels.

    The rest of the network is the same for all cells.
    """
    sizes_keo = operation_sizes(get_space("darts"), CHANNELS, CELLS).numpy()
    kinds, edges = np.indices(cells.shape[1:])
    total: Numbers = sizes_keo[kinds, edges, cells].sum((1, 2))
    return total
