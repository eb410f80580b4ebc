"""Correlate accuracies with a supernet's shared weights with the true accuracies of NAS-Bench-201.

A seeded sample of cells, including the derived cell, is measured with the supernet's weights. The ranks are compared by
Spearman's rho and Kendall's tau.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.engine.update import measure
from adarts.errors import ConfigError
from adarts.report.charts import Dot, scatter
from adarts.seeding import generator
from adarts.spaces import NASBENCH201, Genotype
from adarts.supernet import ArchWeights, Supernet
from adarts.truth.ranks import kendall, spearman
from adarts.truth.table import DATA_SETS, Truth, all_truths, best, sample, truth_of

_KIND = NASBENCH201.cell_kinds[0]
Watch = Callable[[Sequence[Truth]], Iterable[Truth]]


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
    """A cell with its true accuracies, and its loss and accuracy (in [0, 1]) with the shared weights."""

    truth: Truth
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Agreement:
    """Agreement of the supernet with the true accuracies on one data set. Accuracies are in percent.

    Attributes:
        spearman, kendall: rank correlations; None if either side gives all cells the same accuracy.
        derived: true accuracy of the derived cell.
        first: true accuracy of the cell that the supernet ranks first in the sample.
        best_of_sample: highest true accuracy in the sample.
        mean_of_all: mean true accuracy of all cells in the space, i.e. of a random choice.
        best_of_all: highest true accuracy in the space.
    """

    spearman: float | None
    kendall: float | None
    derived: float
    first: float
    best_of_sample: float
    mean_of_all: float
    best_of_all: float


@dataclass(frozen=True)
class Correlation:
    """Result of :func:`correlate`.

    Attributes:
        measured: the sample; the derived cell comes first.
        agreements: agreement by data set.
        cells_in_supernet: number of cells that the supernet contains.
    """

    measured: list[MeasuredCell]
    agreements: dict[str, Agreement]
    cells_in_supernet: int

    def content(self) -> dict[str, Any]:
        """The result as plain data for JSON."""

        def entry(one: MeasuredCell) -> dict[str, Any]:
            accuracies = {dataset: one.truth.on(dataset).test for dataset in DATA_SETS}
            seen = {"supernet_loss": one.loss, "supernet_accuracy": one.accuracy}
            return {"arch": one.truth.arch, "index": one.truth.index, **seen, **accuracies}

        return {
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
) -> Correlation:
    """Compare a supernet with the true accuracies.

    Args:
        supernet: supernet of a finished search in the space `nasbench201`.
        found: the derived cell.
        batches: returns an iterator over the images and labels to measure with. Normalization uses the statistics of each
            batch, so batches must resemble those of the search (:func:`adarts.searching.finished.learned_batches`).
        edges: edge weights (edges,) by kind, if the search has them.
        cells: the sample.
        watch: wraps the iteration over the cells, e.g. to show progress.

    Raises:
        ConfigError: another space, or a supernet that contains no other cell, or does not contain the derived one.
        DataError: `found` is not a cell of the space.
    """
    cells = cells or SampleOfCells()
    if supernet.space != NASBENCH201:
        raise ConfigError(
            f"a search in '{supernet.space.name}'; true accuracies are known only for '{NASBENCH201.name}'"
        )
    derived, held = truth_of(found), cells_in(supernet)
    others = [truth for truth in held if truth.index != derived.index]
    if derived not in held or not others:
        problem = "contains only" if derived in held else "does not contain"
        raise ConfigError(f"the supernet of this search {problem} the derived cell, so there is nothing to compare")
    chosen = [derived, *sample(min(cells.number - 1, len(others)), cells.seed, others)]
    supernet.train()
    measured = []
    with torch.no_grad():
        for truth in watch(chosen):
            alone = only(truth, edges, cells.weight, next(supernet.parameters()).device)
            draws = generator(0, "channels of a sample of cells")
            network = partial(supernet, arch_weights=alone, update_statistics=False, generator=draws)
            measured.append(MeasuredCell(truth, *measure(network, batches(), lambda: None)))
    return Correlation(measured, {dataset: agreement(measured, dataset) for dataset in DATA_SETS}, len(held))


def agreement(measured: Sequence[MeasuredCell], dataset: str) -> Agreement:
    """The agreement on the measured cells; the first one is the derived cell."""
    true = [one.truth.on(dataset).test for one in measured]
    seen = [one.accuracy for one in measured]
    return Agreement(
        spearman(seen, true),
        kendall(seen, true),
        derived=true[0],
        first=first_of(measured).truth.on(dataset).test,
        best_of_sample=max(true),
        mean_of_all=statistics.fmean(truth.on(dataset).test for truth in all_truths()),
        best_of_all=best(dataset).on(dataset).test,
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
        f"true test accuracy on {DATA_SETS[dataset]} (%)",
        [Dot(100 * one.accuracy, one.truth.on(dataset).test, kind(one)) for one in result.measured],
    )


def in_words(correlation: float | None) -> str:
    """A correlation with two decimals, or a dash for None."""
    return "–" if correlation is None else f"{correlation:.2f}"


def cells_in(supernet: Supernet) -> list[Truth]:
    """The cells whose operations are all active in the supernet; a method may have dropped some."""
    active = supernet.active[_KIND].tolist()
    every = all(map(all, active))
    return [
        truth
        for truth in all_truths()
        if every or all(row[at] for row, at in zip(active, _operation_indices(truth), strict=True))
    ]


def only(truth: Truth, edges: Mapping[str, Tensor] | None, weight: float, device: torch.device) -> ArchWeights:
    """The weights of a pass that computes only this cell; its operations have this weight."""
    chosen_eo = F.one_hot(torch.tensor(_operation_indices(truth), device=device), len(NASBENCH201.operations))
    return ArchWeights({_KIND: weight * chosen_eo.float()}, edges, {_KIND: chosen_eo.bool()})


def _operation_indices(truth: Truth) -> list[int]:
    """The index of the operation on every edge, including `none`."""
    kept = Genotype.from_text(truth.arch).by_edge(_KIND)
    return [NASBENCH201.operations.index(kept.get(edge, "none")) for edge in NASBENCH201.edges]
