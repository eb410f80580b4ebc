"""NAS-Bench-201: the authors' measurements of all 15,625 cells (see `README.md` and `NOTICE` beside this file).

The table is read on first use. A cell that is spelled as in the table is found without loading torch; other spellings need
:mod:`adarts.spaces`, which loads it.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from adarts.errors import ConfigError, nearest

if TYPE_CHECKING:
    from adarts.spaces import Genotype

DATA_SETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
"""The data sets on which every cell was trained: name -> title."""

_FILE = resources.files("adarts.truth") / "nasbench201.csv.gz"


@dataclass(frozen=True, slots=True)
class Accuracies:
    """The measurements of a cell on one data set; accuracies in percent.

    Attributes:
        test: test accuracy after 200 epochs, mean over up to three trainings.
        rank: rank of the test accuracy among all cells; 1 is the best, and equal cells share the better rank.
        regret: difference of the test accuracy to the best cell's, in percentage points.
        validation_12: validation accuracy after 12 epochs. On CIFAR-10 the mean of two trainings on 25,000 images; on CIFAR-100
            of one training, on 5,000 of the test images.
        test_12: test accuracy after 12 epochs, one training. On CIFAR-10 of another network, trained on all 50,000 images; on
            CIFAR-100 on the other 5,000 test images.
    """

    test: float
    rank: int
    regret: float
    validation_12: float
    test_12: float


@dataclass(frozen=True, slots=True)
class Truth:
    """The measurements of a cell.

    Attributes:
        arch: the cell as text, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.
        index: its number in the benchmark.
        cifar10: accuracies on CIFAR-10.
        cifar100: accuracies on CIFAR-100.
        parameters: parameters of the network with 10 classes.
        macs: millions of multiply-accumulate operations per image; the benchmark calls them FLOPs.
        structure: number of its structure, shared by isomorphic cells; there are 6,466 structures.
    """

    arch: str
    index: int
    cifar10: Accuracies
    cifar100: Accuracies
    parameters: int
    macs: float
    structure: int

    def on(self, dataset: str) -> Accuracies:
        """The accuracies on a data set, by name.

        Raises:
            ConfigError: the cells were not trained on it.
        """
        if dataset not in DATA_SETS:
            raise ConfigError(f"no accuracies are known on {dataset[:60]!r}{nearest(dataset[:60], DATA_SETS)}")
        accuracies: Accuracies = getattr(self, dataset)
        return accuracies

    @property
    def beyond(self) -> None:
        """None: a measurement can be trusted, unlike an estimate beyond its data."""

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The names of the data sets on which accuracies are known."""
        return tuple(DATA_SETS)

    @property
    def operations(self) -> list[str]:
        """The operations of the six edges, including `none`, by target, then by source."""
        return re.findall(r"(\w+)~", self.arch)

    def accuracy(self, dataset: str) -> float:
        """The test accuracy after 200 epochs on a data set, in percent; raises as :meth:`on`."""
        return self.on(dataset).test

    def record(self) -> dict[str, Any]:
        """Test accuracies, ranks, and points below the best cell as plain data, for metrics and summaries."""
        return {
            "cifar10": self.cifar10.test,
            "rank": self.cifar10.rank,
            "regret": self.cifar10.regret,
            "cifar100": self.cifar100.test,
            "rank_cifar100": self.cifar100.rank,
            "regret_cifar100": self.cifar100.regret,
        }


@cache
def all_truths() -> tuple[Truth, ...]:
    """All cells, in the order of their index."""
    with _FILE.open("rb") as packed, gzip.open(packed) as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, encoding="ascii")))
    cifar10, cifar100 = (_accuracies(rows, prefix) for prefix in ("c10", "c100"))
    return tuple(
        Truth(row["arch"], int(row["index"]), c10, c100, int(row["params"]), float(row["flops_m"]), int(row["iso"]))
        for row, c10, c100 in zip(rows, cifar10, cifar100, strict=True)
    )


def lookup(arch: str) -> Truth:
    """The measurements of a cell given as text.

    Raises:
        DataError: the text is not a cell of NAS-Bench-201.
    """
    known = _by_arch().get(arch.strip())
    if known is not None:
        return known
    from adarts.spaces.arch_string import read, write  # loads torch
    from adarts.spaces.limits import check_size

    check_size(arch)
    return _by_arch()[write(read(arch))]


def truth_of(genotype: Genotype) -> Truth:
    """The measurements of a genotype.

    Raises:
        DataError: it is not a cell of NAS-Bench-201.
    """
    from adarts.spaces import NASBENCH201
    from adarts.spaces.arch_string import write

    genotype.require_within(NASBENCH201)
    return _by_arch()[write(genotype.cells["normal"].nodes)]


def best(dataset: str) -> Truth:
    """The best cell on a data set.

    Raises:
        ConfigError: the cells were not trained on it.
    """
    return max(all_truths(), key=lambda truth: truth.on(dataset).test)


def sample(number: int, seed: int, among: Sequence[Truth] | None = None) -> list[Truth]:
    """Draw distinct cells uniformly.

    Args:
        number: number of cells.
        seed: seed; a larger number with the same seed starts with the same cells.
        among: the cells to draw from; None uses all.

    Raises:
        ConfigError: there are fewer cells.
    """
    import torch

    from adarts.seeding import generator

    cells = all_truths() if among is None else among
    if not 0 <= number <= len(cells):
        raise ConfigError(f"a sample of {number:,} cells cannot be drawn from {len(cells):,}")
    order = torch.randperm(len(cells), generator=generator(seed, "sample of cells"))
    return [cells[place] for place in order[:number].tolist()]


def same_structure(truth: Truth) -> tuple[Truth, ...]:
    """The cells isomorphic to this one, including itself; their accuracies differ only by training noise."""
    return tuple(other for other in all_truths() if other.structure == truth.structure)


def _accuracies(rows: Sequence[Mapping[str, str]], prefix: str) -> list[Accuracies]:
    test = [float(row[f"{prefix}_test_200"]) for row in rows]
    ascending = sorted(test)
    ranks = {value: len(test) - place for place, value in enumerate(ascending)}  # equal values keep the better rank
    return [
        Accuracies(
            test=value,
            rank=ranks[value],
            regret=round(ascending[-1] - value, 4),  # the table has four decimals
            validation_12=float(row[f"{prefix}_valid_12"]),
            test_12=float(row[f"{prefix}_test_12"]),
        )
        for row, value in zip(rows, test, strict=True)
    ]


@cache
def _by_arch() -> dict[str, Truth]:
    return {truth.arch: truth for truth in all_truths()}
