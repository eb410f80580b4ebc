"""The judge of a space tells the accuracy of its cells without training them.

The cells of NAS-Bench-201 are judged by the measurements of its authors, the cells of the DARTS space and its subspaces by an
estimate. Searches, sweeps, reports and the analyses of this package ask the judge, whichever it is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, count
from typing import ClassVar

from adarts.errors import ConfigError
from adarts.spaces import NASBENCH201, Genotype, get_space
from adarts.truth import estimate, table
from adarts.truth.floors import Floor, as_mask, darts_floors, nasbench201_floors

Active = Mapping[str, list[list[bool]]]
"""For every kind of cell and every edge, a mask of the operations that a supernet still has."""

_BLOCK = 256  # cells that are drawn at once


Answer = table.Truth | estimate.Estimate
"""What a judge says of a cell; both have its text `arch`, `data_sets`, `accuracy(dataset)`, `beyond`, and `record()`."""


class Judge(ABC):
    """Tells the accuracy of the cells of one space.

    Attributes:
        word: `true` or `estimated`.
        figure: which accuracy it tells.
        data_sets: on which data sets: name -> title.
        operations: what the edges of the cells may have that it judges.
        depth: points below the best cell that drawings show; most found cells are above.
        space: the space.
    """

    word: ClassVar[str]
    figure: ClassVar[str]
    data_sets: ClassVar[Mapping[str, str]]
    operations: ClassVar[Sequence[str]]
    depth: ClassVar[float]

    def __init__(self, space: str) -> None:
        self.space = get_space(space)

    @abstractmethod
    def of(self, genotype: Genotype) -> Answer:
        """Judge a genotype.

        Raises:
            DataError: nothing is known about such cells.
        """

    @abstractmethod
    def validation(self, genotype: Genotype) -> float:
        """An accuracy on CIFAR-10, in percent, in which no test image has a part, to choose by; raises as :meth:`of`."""

    @abstractmethod
    def floors(self) -> tuple[Floor, ...]:
        """What a search is held against: first random cells, last the best cells."""

    @abstractmethod
    def number_of(self, active: Active) -> int:
        """Number of cells that have only active operations and can be judged."""

    @abstractmethod
    def sample(self, active: Active, number: int, seed: int, beside: Genotype) -> list[Genotype]:
        """Draw distinct cells of active operations, other than `beside`; a larger number begins with the same cells."""

    def dataset_of(self, data: str) -> str:
        """The data set whose accuracies are shown for a search on this data: the same one if known, else CIFAR-10."""
        return data if data in self.data_sets else "cifar10"

    @property
    def equal_edges(self) -> float:
        """Share of the kept edges of a random cell that it judges on which another one has the same operation."""
        space, equal, kept = self.space, 0.0, 0
        for kind in space.cell_kinds:
            for target in space.targets:
                incoming, keeps = space.incoming(target), space.num_kept(target)
                kept += keeps
                for edge in incoming:
                    allowed = zip(space.operations, space.allowed(kind)[edge], strict=True)
                    choices = sum(on and name in self.operations for name, on in allowed)
                    equal += (keeps / len(incoming)) ** 2 / choices
        return equal / kept


class Known(Judge):
    """NAS-Bench-201: all cells were trained by its authors."""

    word, figure, data_sets, depth = "true", "test accuracy, 200 epochs", table.DATA_SETS, 15
    operations = NASBENCH201.operations

    def of(self, genotype: Genotype) -> table.Truth:
        return table.truth_of(genotype)

    def validation(self, genotype: Genotype) -> float:
        """The validation accuracy after 12 epochs. On CIFAR-100 it was measured on test images, so it is not used."""
        return table.truth_of(genotype).cifar10.validation_12

    def floors(self) -> tuple[Floor, ...]:
        return nasbench201_floors()

    def number_of(self, active: Active) -> int:
        return math.prod(map(sum, active["normal"]))

    def sample(self, active: Active, number: int, seed: int, beside: Genotype) -> list[Genotype]:
        rows = [{name for name, on in zip(self.space.operations, row, strict=True) if on} for row in active["normal"]]
        found = self.of(beside)
        held = [
            truth
            for truth in table.all_truths()
            if truth != found and all(name in row for name, row in zip(truth.operations, rows, strict=True))
        ]
        return [Genotype.from_text(truth.arch) for truth in table.sample(number, seed, held)]


class Estimated(Judge):
    """The DARTS space and its subspaces: an estimate from published figures of other cells."""

    word, figure, data_sets, depth = "estimated", estimate.FIGURE, {"cifar10": "CIFAR-10"}, 3
    operations = estimate.OPERATIONS[1:]

    def of(self, genotype: Genotype) -> estimate.Estimate:
        return estimate.estimate_of(genotype)

    def validation(self, genotype: Genotype) -> float:
        """The estimate, which is that of a validation accuracy."""
        return estimate.estimate_of(genotype).accuracy("cifar10")

    def floors(self) -> tuple[Floor, ...]:
        return darts_floors(self.space.name)

    def number_of(self, active: Active) -> int:
        choices_ke = as_mask(self.space.operations, active)[..., 1:].sum(-1).tolist()
        return math.prod(
            sum(sizes[a] * sizes[b] for a, b in combinations(self.space.incoming(target), 2))
            for sizes in choices_ke
            for target in self.space.targets
        )

    def sample(self, active: Active, number: int, seed: int, beside: Genotype) -> list[Genotype]:
        mask = as_mask(self.space.operations, active)
        first = estimate.encode(beside)
        found = {first.tobytes(): first}
        for block in count():
            for cell in estimate.random_cells(_BLOCK, (seed, block), mask):
                found.setdefault(cell.tobytes(), cell)
            if len(found) > number:
                break
        return [estimate.decode(cell, self.space.name) for cell in list(found.values())[1 : number + 1]]


_JUDGES: dict[str, type[Judge]] = {NASBENCH201.name: Known, **dict.fromkeys(estimate.SPACES, Estimated)}


@cache
def find_judge(space: str) -> Judge | None:
    """The judge of a space by name; None if nothing is known about its cells."""
    return _JUDGES[space](space) if space in _JUDGES else None


def judge_of(space: str) -> Judge:
    """Like :func:`find_judge`, but raise an error if there is no judge.

    Raises:
        ConfigError: nothing is known about cells of this space.
    """
    judge = find_judge(space)
    if judge is None:
        raise ConfigError(f"nothing is known about cells of the space '{space[:60]}', only of {', '.join(_JUDGES)}")
    return judge
