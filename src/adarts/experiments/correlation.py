"""Whether a supernet knows which cells are good: its shared weights and the true accuracies of NAS-Bench-201, side by side.

A seeded sample of cells, the one that the search found among them, is measured with the supernet's weights on the half of the
images that the alphas learned from. What is compared is the order: Spearman's rho and Kendall's tau.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.config.settings import RunSettings, SearchConfig
from adarts.data import Augmentation, Batches
from adarts.engine import environment, read_config, write_atomically
from adarts.engine.files import to_json
from adarts.errors import ConfigError
from adarts.report.scatter import Dot, scatter_svg
from adarts.searching import SearchTask
from adarts.searching.finished import restored
from adarts.spaces import NASBENCH201
from adarts.spaces.arch_string import Nodes, read
from adarts.supernet import ArchWeights
from adarts.truth import DATA_SETS, Truth, all_truths, best, dataset_of, sample, truth_of
from adarts.truth.ranks import kendall, spearman

_KIND = NASBENCH201.cell_kinds[0]
Watch = Callable[[Sequence[Truth]], Iterable[Truth]]


@dataclass(frozen=True)
class Measured:
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
class CorrelationResult:
    """What was measured.

    Attributes:
        run_dir: the search; `correlation.json` and `correlation.svg` lie there.
        derived: the cell that it found.
        measured: the sample, that cell first.
        agreements: by data set.
        summary: what `correlation.json` holds.
    """

    run_dir: Path
    derived: Truth
    measured: list[Measured]
    agreements: dict[str, Agreement]
    summary: dict[str, Any]


def correlate(
    run_dir: Path,
    number: int = 100,
    seed: int = 0,
    weight: float = 1.0,
    how: RunSettings | None = None,
    method: str | None = None,
    watch: Watch = iter,
) -> CorrelationResult:
    """Compare the supernet of a finished search with the truth.

    Args:
        run_dir: of the search, in the space `nasbench201`.
        number: cells to measure, the one that was found among them; all where the supernet holds fewer.
        seed: of the sample.
        weight: of the one operation that every edge keeps. In the derived network it is 1; in the search the operations of
            an edge share 1.
        how: device, threads and kernels.
        method: as in :func:`adarts.searching.finished.restored`.
        watch: goes over the cells while they are measured, to show how far it is.

    Raises:
        ConfigError: a search in another space, a weight that is not positive, fewer than two cells (all before images are
            read), or a supernet that holds no other cell.
        DataError, CheckpointError: as for :func:`adarts.searching.finished.restored`.
    """
    if not 0 < weight < math.inf:
        raise ConfigError(f"--weight {weight}: operations without a positive weight say nothing")
    if number < 2:
        raise ConfigError(f"--cells {number}: an order needs two cells at least")
    space = read_config(run_dir, SearchConfig).space
    if space != NASBENCH201.name:
        raise ConfigError(f"{run_dir}: a search in '{space}'; true accuracies are known of '{NASBENCH201.name}'")
    task, genotype = restored(run_dir, how or RunSettings(), method)
    derived = truth_of(genotype)
    held = _cells_in(task)
    others = [truth for truth in held if truth.index != derived.index]
    if derived not in held:
        raise ConfigError(f"{run_dir}: {task.method.info.title} found its cell in another supernet than the last one")
    if not others:
        raise ConfigError(
            f"{run_dir}: {task.method.info.title} dropped all operations but those of the cell that it found"
        )
    chosen = [derived, *sample(min(number - 1, len(others)), seed, others)]
    task.validation = _as_learned(task)
    with torch.no_grad():
        edges = task.method.expected_arch_weights(task).edges
        measured = [Measured(truth, *task.measure(_only(truth, edges, weight, task.device))) for truth in watch(chosen)]
    agreements = {dataset: agreement(measured, dataset) for dataset in DATA_SETS}
    summary = {
        "format": "adarts-correlation",
        "version": 1,
        "method": task.method.info.name,
        "data": task.config.data,
        "scale": task.config.scale,
        "search_seed": task.config.seed,
        "sample_seed": seed,
        "cells": len(chosen),
        "cells_in_supernet": len(others) + 1,
        "images": len(task.validation) * task.validation.batch_size,
        "weight": weight,
        "environment": environment(task.device),
        "agreement": {dataset: asdict(found) for dataset, found in agreements.items()},
        "measured": [
            {
                "arch": one.truth.arch,
                "index": one.truth.index,
                "supernet_loss": one.loss,
                "supernet_accuracy": one.accuracy,
                **{dataset: one.truth.on(dataset).test for dataset in DATA_SETS},
            }
            for one in measured
        ],
    }
    result = CorrelationResult(run_dir, derived, measured, agreements, summary)
    write_atomically(run_dir / "correlation.json", to_json(summary))
    write_atomically(run_dir / "correlation.svg", picture(result, dataset_of(task.config.data)).encode())
    return result


def agreement(measured: Sequence[Measured], dataset: str) -> Agreement:
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


def first_of(measured: Sequence[Measured]) -> Measured:
    """The cell that the supernet puts first; of equal accuracies, the lower loss."""
    return max(measured, key=lambda one: (one.accuracy, -one.loss))


def picture(result: CorrelationResult, dataset: str) -> str:
    """The scatter plot as SVG."""
    found = result.agreements[dataset]
    first = first_of(result.measured).truth
    rho, tau = (in_words(value) for value in (found.spearman, found.kendall))

    def kind(truth: Truth) -> str:
        if truth is result.derived:
            return "found by the search"
        return "first in the supernet" if truth is first else "sample"

    method, data = result.summary["method"], result.summary["data"][:40]
    return scatter_svg(
        f"{method} on {data}: rho {rho}, tau {tau}, n = {len(result.measured)}",
        "accuracy with the supernet's shared weights (%)",
        f"true test accuracy on {DATA_SETS[dataset]} (%)",
        [
            Dot(100 * one.accuracy, one.truth.on(dataset).test, kind(one.truth), one.truth.arch)
            for one in result.measured
        ],
    )


def in_words(correlation: float | None) -> str:
    """A correlation with two decimals; a dash where there is none."""
    return "–" if correlation is None else f"{correlation:.2f}"


def _cells_in(task: SearchTask) -> list[Truth]:
    """The cells all of whose operations the supernet still computes: a method may have dropped some."""
    active = task.supernet.active[_KIND].tolist()

    def is_there(truth: Truth) -> bool:
        return all(row[operation] for row, operation in zip(active, _operations(read(truth.arch)), strict=True))

    return [truth for truth in all_truths() if is_there(truth)]


def _operations(nodes: Nodes) -> list[int]:
    """For every edge the index of its operation; an edge that no pair names has `none`."""
    names = {
        (source, target): name
        for target, pairs in zip(NASBENCH201.targets, nodes, strict=True)
        for name, source in pairs
    }
    return [NASBENCH201.operations.index(names.get(edge, "none")) for edge in NASBENCH201.edges]


def _only(truth: Truth, edges: Mapping[str, Tensor] | None, weight: float, device: torch.device) -> ArchWeights:
    """A pass through this cell alone: its operations have this weight, and nothing else is computed."""
    chosen_e = torch.tensor(_operations(read(truth.arch)), device=device)
    chosen_eo: Tensor = F.one_hot(chosen_e, len(NASBENCH201.operations))
    return ArchWeights({_KIND: weight * chosen_eo.float()}, edges, {_KIND: chosen_eo.bool()})


def _as_learned(task: SearchTask) -> Batches:
    """The images of the alphas as a search step sees them: augmented, in a random order, in batches of the same size.

    The normalizations use the statistics of each batch, since those that the search gathered are of a mix of operations. So a
    batch must look like those that the weights learned with: not of one class, as in the order of some data sets, and not
    without the padding of the crops.
    """
    return Batches(
        task.data.train,
        task.validation.indices,
        batch_size=task.config.search.batch_size,
        seed=task.config.seed,
        purpose="correlation",
        augmentation=Augmentation.of(task.config.images, task.data),
        device=task.device,
        drop_last=True,
    )
