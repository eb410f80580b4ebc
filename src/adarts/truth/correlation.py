"""Correlate accuracies with a supernet's shared weights with the accuracies that the judge of the space tells.

A seeded sample of cells, including the derived cell, is measured with the supernet's weights. The ranks are compared by
Spearman's rho and Kendall's tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from adarts.engine.update import measure
from adarts.errors import ConfigError
from adarts.report.charts import Dot, scatter
from adarts.seeding import generator
from adarts.spaces import Genotype, Space
from adarts.supernet import Supernet, only
from adarts.truth.judge import Active, Answer, Judge, judge_of
from adarts.truth.ranks import kendall, spearman

Watch = Callable[[Sequence[Genotype]], Iterable[Genotype]]


@dataclass(frozen=True)
class SampleOfCells:
    """The cells to measure.

    Attributes:
        number: number of cells, including the derived one; all cells if the supernet contains fewer.
        seed: seed of the sample.
        weight: weight of the single operation on every edge. It is 1 in the derived network; in the search, the weights of an
            edge's operations add up to 1.

    Raises:
        ConfigError: the weight is not positive, or there are fewer than two cells.
    """

    number: int = 100
    seed: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ConfigError(f"--weight {self.weight}: the weight must be positive and finite")
        if self.number < 2:
            raise ConfigError(f"--cells {self.number}: a correlation needs at least two cells")


@dataclass(frozen=True)
class MeasuredCell:
    """A cell with what the judge says of it, and its loss and accuracy (in [0, 1]) with the shared weights."""

    truth: Answer
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Agreement:
    """Agreement of the supernet with the judge on one data set. Accuracies are the judge's, in percent.

    Attributes:
        spearman, kendall: rank correlations; None if either side gives all cells the same accuracy.
        derived: accuracy of the derived cell.
        first: accuracy of the cell that the supernet ranks first in the sample.
        best_of_sample: highest accuracy in the sample.
        mean_of_random: mean of the judge's first floor: of all cells in NAS-Bench-201, else of random ones.
        best_known: highest accuracy in the judge's last floor: of all cells in NAS-Bench-201, of published ones in `darts`.
    """

    spearman: float | None
    kendall: float | None
    derived: float
    first: float
    best_of_sample: float
    mean_of_random: float
    best_known: float


@dataclass(frozen=True)
class Correlation:
    """Result of :func:`correlate`.

    Attributes:
        judge: the judge of the space.
        measured: the sample; the derived cell comes first.
        agreements: agreement by data set.
        cells_in_supernet: number of cells that the supernet contains.
    """

    judge: Judge
    measured: list[MeasuredCell]
    agreements: dict[str, Agreement]
    cells_in_supernet: int

    def content(self) -> dict[str, Any]:
        """The result as plain data for JSON."""

        def entry(one: MeasuredCell) -> dict[str, Any]:
            accuracies = {dataset: one.truth.accuracy(dataset) for dataset in self.judge.data_sets}
            seen = {"supernet_loss": one.loss, "supernet_accuracy": one.accuracy}
            return {"arch": one.truth.arch, **seen, **accuracies, "beyond": one.truth.beyond}

        return {
            "accuracies": f"{self.judge.word} {self.judge.figure}",
            "cells": len(self.measured),
            "cells_in_supernet": self.cells_in_supernet,
            "agreement": {dataset: asdict(found) for dataset, found in self.agreements.items()},
            "measured": [entry(one) for one in self.measured],
        }


def correlate(
    supernet: Supernet,
    found: Genotype,
    batches: Callable[[], Iterable[tuple[Tensor, Tensor]]],
    edges: Mapping[str, Tensor] | None = None,
    cells: SampleOfCells | None = None,
    watch: Watch = iter,
    logits: Callable[..., Tensor] | None = None,
) -> Correlation:
    """Compare a supernet with the judge of its space.

    Args:
        supernet: supernet of a finished search.
        found: the derived cell.
        batches: returns an iterator over the images and labels to measure with. Normalization uses the statistics of each
            batch, so batches must resemble those of the search (:func:`adarts.searching.finished.learned_batches`).
        edges: edge weights (edges,) by kind, if the search has them.
        cells: the sample.
        watch: wraps the iteration over the cells, e.g. to show progress.
        logits: computes the logits in place of the supernet, with the same arguments, e.g. with predicted weights.

    Raises:
        ConfigError: a space without a judge, or a supernet that contains no other cell, or does not contain the derived one.
        DataError: the judge knows nothing about the derived cell.
    """
    cells, space = cells or SampleOfCells(), supernet.space
    judge = judge_of(space.name)
    judge.of(found)  # raises before anything is measured
    active = {kind: rows.tolist() for kind, rows in supernet.active.items()}
    held = judge.number_of(active)
    if held < 2 or not _contains(active, found, space):
        problem = "contains only" if _contains(active, found, space) else "does not contain"
        raise ConfigError(f"the supernet of this search {problem} the derived cell, so there is nothing to compare")
    chosen = [found, *judge.sample(active, min(cells.number, held) - 1, cells.seed, beside=found)]
    supernet.train()
    measured = []
    with torch.no_grad():
        for cell in watch(chosen):
            alone = only(supernet, cell, cells.weight, edges)
            draws = generator(0, "channels of a sample of cells")
            network = partial(logits or supernet, arch_weights=alone, update_statistics=False, generator=draws)
            measured.append(MeasuredCell(judge.of(cell), *measure(network, batches(), lambda: None)))
    return Correlation(judge, measured, {name: agreement(measured, judge, name) for name in judge.data_sets}, held)


def agreement(measured: Sequence[MeasuredCell], judge: Judge, dataset: str) -> Agreement:
    """The agreement on the measured cells; the first one is the derived cell."""
    told = [one.truth.accuracy(dataset) for one in measured]
    seen = [one.accuracy for one in measured]
    floors = [floor.accuracies[dataset] for floor in judge.floors()]
    return Agreement(
        spearman(seen, told),
        kendall(seen, told),
        derived=told[0],
        first=first_of(measured).truth.accuracy(dataset),
        best_of_sample=max(told),
        mean_of_random=floors[0].spread.mean,
        best_known=floors[-1].best,
    )


def first_of(measured: Sequence[MeasuredCell]) -> MeasuredCell:
    """The cell that the supernet ranks first; the lower loss breaks ties."""
    return max(measured, key=lambda one: (one.accuracy, -one.loss))


def picture(result: Correlation, dataset: str, what: str) -> str:
    """The scatter plot as SVG; `what` names the search."""
    agreed, first = result.agreements[dataset], first_of(result.measured)
    rho, tau = (in_words(value) for value in (agreed.spearman, agreed.kendall))

    def kind(one: MeasuredCell) -> str:
        if one is result.measured[0]:
            return "found by the search"
        return "first in the supernet" if one is first else "sample"

    return scatter(
        f"{what}: rho {rho}, tau {tau}, n = {len(result.measured)}",
        "accuracy with the supernet's shared weights (%)",
        f"{result.judge.word} accuracy on {result.judge.data_sets[dataset]} (%)",
        [Dot(100 * one.accuracy, one.truth.accuracy(dataset), kind(one)) for one in result.measured],
    ).svg()


def in_words(correlation: float | None) -> str:
    """A correlation with two decimals, or a dash for None."""
    return "–" if correlation is None else f"{correlation:.2f}"


def _contains(active: Active, genotype: Genotype, space: Space) -> bool:
    """Whether all operations of a cell are active, including `none` if the space keeps every edge."""
    outside = "none" if space.kept_edges is None else None
    kept = {kind: genotype.by_edge(kind) for kind in space.cell_kinds}
    names = {kind: [kept[kind].get(edge, outside) for edge in space.edges] for kind in space.cell_kinds}
    return all(
        name is None or row[space.operations.index(name)]
        for kind in space.cell_kinds
        for name, row in zip(names[kind], active[kind], strict=True)
    )
