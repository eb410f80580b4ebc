"""Whether a supernet knows which cells are good: its shared weights and the true accuracies of NAS-Bench-201, side by side.

A seeded sample of cells, the one that the search found among them, is measured with the supernet's weights. What is compared is
the order: Spearman's rho and Kendall's tau.

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
    """Which cells are measured, and how.

    Attributes:
        number: of cells, the one that was found among them; all where the supernet holds fewer.
        seed: of the draw.
        weight: of the one operation that every edge keeps. In the derived network it is 1; in the search the operations of
            an edge share 1.

    Raises:
        ConfigError: a weight that is not positive, or fewer than two cells.
    """

    number: int = 100
    seed: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ConfigError(f"--weight {self.weight}: operations without a positive weight say nothing")
        if self.number < 2:
            raise ConfigError(f"--cells {self.number}: an order needs two cells at least")


@dataclass(frozen=True)
class MeasuredCell:
    """A cell as the supernet sees it: loss and accuracy with the shared weights, in [0, 1]; and the truth."""

    truth: Truth
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Agreement:
    """How the supernet and the truth on one data set agree.

    Attributes:
        spearman, kendall: of the accuracies; None where either side says the same of all cells.
        derived: true accuracy, in percent, of the cell that the search found.
        first: of the cell that the supernet puts first in the sample.
        best_of_sample: of the best one in it.
        mean_of_all: mean of all cells of the space, which is what choosing blindly is worth.
        best_of_all: of the best one of them.
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
    """What was measured.

    Attributes:
        measured: the sample, the cell that was found first.
        agreements: by data set.
        cells_in_supernet: that the sample could be drawn from.
    """

    measured: list[MeasuredCell]
    agreements: dict[str, Agreement]
    cells_in_supernet: int

    def content(self) -> dict[str, Any]:
        """As plain data, for a file."""

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
    """Compare a supernet with the truth.

    Args:
        supernet: of a search in the space `nasbench201`, after its end.
        found: the cell that the search found.
        batches: the images and labels to measure with, anew at every call. The normalizations take the statistics of each
            batch, so it must look like those that the weights learned with
            (:func:`adarts.searching.finished.learned_batches`).
        edges: kind -> weights of the edges (edges,), where the search has them.
        cells: the sample.
        watch: goes over the cells while they are measured, to show how far it is.

    Raises:
        ConfigError: another space, or a supernet that holds no other cell, or not the one that was found.
        DataError: `found` is no cell of the space.
    """
    cells = cells or SampleOfCells()
    if supernet.space != NASBENCH201:
        raise ConfigError(f"a search in '{supernet.space.name}'; true accuracies are known of '{NASBENCH201.name}'")
    derived, held = truth_of(found), cells_in(supernet)
    others = [truth for truth in held if truth.index != derived.index]
    if derived not in held or not others:
        problem = "holds no cell but the one" if derived in held else "does not hold the cell"
        raise ConfigError(f"the supernet of this search {problem} that was found; there is nothing to compare")
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
    """How supernet and truth agree on cells, of which the first is the one that was found."""
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
    """The cell that the supernet puts first; of equal accuracies, the lower loss."""
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
    """A correlation with two decimals; a dash where there is none."""
    return "–" if correlation is None else f"{correlation:.2f}"


def cells_in(supernet: Supernet) -> list[Truth]:
    """The cells all of whose operations the supernet still computes: a method may have dropped some."""
    active = supernet.active[_KIND].tolist()
    every = all(map(all, active))
    return [
        truth
        for truth in all_truths()
        if every or all(row[at] for row, at in zip(active, _operation_indices(truth), strict=True))
    ]


def only(truth: Truth, edges: Mapping[str, Tensor] | None, weight: float, device: torch.device) -> ArchWeights:
    """A pass through this cell alone: its operations have this weight, and nothing else is computed."""
    chosen_eo = F.one_hot(torch.tensor(_operation_indices(truth), device=device), len(NASBENCH201.operations))
    return ArchWeights({_KIND: weight * chosen_eo.float()}, edges, {_KIND: chosen_eo.bool()})


def _operation_indices(truth: Truth) -> list[int]:
    """For every edge the index of its operation, `none` among them."""
    kept = Genotype.from_text(truth.arch).by_edge(_KIND)
    return [NASBENCH201.operations.index(kept.get(edge, "none")) for edge in NASBENCH201.edges]
