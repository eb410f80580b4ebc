"""How much of what a search finds is chance: searches in NAS-Bench-201 that differ in the seed alone, side by side.

True accuracy of the cells, agreement of the cells edge by edge, and agreement of the channels that attention chose.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from adarts.engine import write_atomically
from adarts.engine.files import to_json
from adarts.errors import CheckpointError, DataError
from adarts.report.charts import Chart, Rule, Series, draw
from adarts.report.numbers import Spread, shown
from adarts.report.palette import series_look
from adarts.report.reading import RunRecord, read_run
from adarts.spaces import NASBENCH201, Genotype, derive, never_none
from adarts.truth.table import DATA_SETS, Truth, all_truths, dataset_of, truth_of

DRAWING = "stability.svg"
_KIND = NASBENCH201.cell_kinds[0]
_LOWEST = 15  # points below the best cell: what the drawing shows; most cells that searches find lie within


@dataclass(frozen=True)
class Found:
    """What one search found.

    Attributes:
        seed: of the search.
        truth: of its cell.
        channels: the agreement of its channels over the epochs, where it was measured.
        without_none: where it has `none`, of the cell that the last operation weights name without; None where they were not
            recorded.
        epochs: by data set, the true accuracy of the cell that the search would have named after each epoch.
    """

    seed: int
    truth: Truth
    channels: list[float]
    without_none: Truth | None = None
    epochs: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Accuracy:
    """True test accuracies in percent, over the seeds: how they spread, the worst and the best."""

    spread: Spread
    worst: float
    best: float


@dataclass(frozen=True)
class SeedGroup:
    """The searches that differ in the seed alone.

    Attributes:
        settings: what they have in common: the method, and what else varies in the sweep.
        found: one entry a seed.
        accuracies: by data set.
        without_none: the same if `none` may not be chosen; empty where no search recorded its operation weights.
        equal_edges: share of the edges with the same operation, over all pairs of seeds; None for one seed. Two cells drawn at
            random agree on a fifth.
        channels: share of the channels chosen in the last update of an epoch that were chosen in that of the epoch before, too,
            mean over the epochs; over the seeds. None where no search recorded it.
    """

    settings: Mapping[str, Any]
    found: list[Found]
    accuracies: dict[str, Accuracy]
    without_none: dict[str, Accuracy]
    equal_edges: float | None
    channels: Spread | None


@dataclass(frozen=True)
class StabilityResult:
    """What was found in a sweep.

    Attributes:
        sweep_dir: where `stability.json` lies.
        groups: in the order of the sweep.
        dataset: the data set whose accuracies are shown for the searches' data.
        anything: by data set, the accuracies of all cells of the space: what a cell drawn at random is worth.
    """

    sweep_dir: Path
    groups: list[SeedGroup]
    dataset: str
    anything: dict[str, Accuracy]


def stability(sweep_dir: Path) -> StabilityResult:
    """Sum up the finished searches of a sweep; `stability.json` and a drawing are written into its folder.

    Args:
        sweep_dir: of the sweep; searches in other spaces are left out.

    Raises:
        DataError: no search in the space `nasbench201` is finished.
        CheckpointError: it is no sweep, or a file in it is damaged.
    """
    data = set()
    members: dict[str, tuple[Mapping[str, Any], list[Found]]] = {}
    for settings, run in _finished(sweep_dir):
        if run.genotype is None or run.genotype.space != NASBENCH201.name:
            continue
        data.add(str(run.config.get("data")))
        common = {name: value for name, value in settings.items() if name != "seed"}
        _, found = members.setdefault(json.dumps(common), (common, []))
        # The first epoch has no channels before it.
        channels = [r["channel_stability"][_KIND] for r in run.metrics if r.get("channel_stability")]
        known = [record["truth"] for record in run.metrics if record.get("truth")]
        epochs = {dataset: [truth[dataset] for truth in known] for dataset in DATA_SETS} if known else {}
        without = _without_none(run, run.genotype)
        found.append(Found(settings["seed"], truth_of(run.genotype), channels, without, epochs))
    if not members:
        raise DataError(f"{sweep_dir}: no search in the space '{NASBENCH201.name}' is finished")
    result = StabilityResult(
        sweep_dir,
        [group(common, found) for common, found in members.values()],
        dataset_of(data.pop()) if len(data) == 1 else dataset_of(""),
        _accuracies(all_truths()),
    )
    write_atomically(sweep_dir / "stability.json", to_json(_content(result)))
    if drawing := picture(result):
        write_atomically(sweep_dir / DRAWING, drawing.encode())
    return result


def group(settings: Mapping[str, Any], found: Sequence[Found]) -> SeedGroup:
    """Sum up searches that differ in the seed alone."""
    truths = [one.truth for one in found]
    channels = [statistics.fmean(one.channels) for one in found if one.channels]
    without_none = [one.without_none for one in found if one.without_none is not None]
    return SeedGroup(
        settings,
        list(found),
        _accuracies(truths),
        _accuracies(without_none) if without_none else {},
        equal_edges([truth.arch for truth in truths]),
        Spread.of(channels) if channels else None,
    )


def equal_edges(cells: Sequence[str]) -> float | None:
    """The share of edges with the same operation, over all pairs of cells; None for a single cell."""
    edges = [[edge for edge in re.split(r"[|+]+", cell) if edge] for cell in cells]
    shares = [
        statistics.fmean(one == other for one, other in zip(*pair, strict=True)) for pair in combinations(edges, 2)
    ]
    return statistics.fmean(shares) if shares else None


def _content(result: StabilityResult) -> dict[str, Any]:
    def cell(found: Found) -> dict[str, Any]:
        accuracies = {dataset: found.truth.on(dataset).test for dataset in DATA_SETS}
        without_none = None if found.without_none is None else found.without_none.arch
        known = {"seed": found.seed, "arch": found.truth.arch, **accuracies}
        return {**known, "channels": found.channels, "without_none": without_none}

    return {
        "format": "adarts-stability",
        "version": 1,
        "groups": [{**asdict(one), "found": [cell(found) for found in one.found]} for one in result.groups],
        "all_cells": {dataset: asdict(accuracy) for dataset, accuracy in result.anything.items()},
    }


def picture(result: StabilityResult) -> str | None:
    """True accuracy by epoch, a chart for each group; None where no search recorded it."""
    everything = result.anything[result.dataset]
    charts = []
    for one in result.groups:
        if seeds := [found.epochs[result.dataset] for found in one.found if found.epochs]:
            name = ", ".join(map(shown, one.settings.values()))
            charts.append(
                Chart(
                    f"{name}: {one.accuracies[result.dataset].spread.words('{:.2f}'.format)}",
                    [Series("", series_look(0), seeds)],
                    low=everything.best - _LOWEST,
                    high=everything.best,
                    rule=Rule(everything.spread.mean),
                )
            )
    if not charts:
        return None
    return draw(
        charts,
        min(len(charts), 3),
        f"True accuracy on {DATA_SETS[result.dataset]} of the cell that would be derived, by epoch, in percent",
        "mean of the seeds, in a band from the lowest to the highest; the straight line is the mean of all cells; at the lower "
        f"edge: {_LOWEST} points below the best cell, or more",
        size=(220, 120),
    )


def _accuracies(truths: Sequence[Truth]) -> dict[str, Accuracy]:
    tests = {dataset: [truth.on(dataset).test for truth in truths] for dataset in DATA_SETS}
    return {dataset: Accuracy(Spread.of(values), min(values), max(values)) for dataset, values in tests.items()}


def _without_none(run: RunRecord, found: Genotype) -> Truth | None:
    """The space's rule lets `none` win an edge; in the DARTS spaces it never does. So this says what that rule costs."""
    if sum(map(len, found.cells[_KIND].nodes)) == len(NASBENCH201.edges):
        return truth_of(found)  # nothing; and not every method derives its cell from the last operation weights
    if not run.metrics or not (rows := run.metrics[-1].get("operation_weights")):
        return None
    return truth_of(derive(NASBENCH201, {_KIND: torch.tensor(rows[_KIND])}, rule=never_none))


def _finished(sweep_dir: Path) -> list[tuple[Mapping[str, Any], RunRecord]]:
    """Settings and run of every finished point."""
    path = sweep_dir / "sweep.json"
    try:
        sweep = json.loads(path.read_bytes())
        if sweep["format"] != "adarts-sweep":
            raise CheckpointError(f"{path} is not what a sweep writes")
        points = [(point["settings"], point["folder"]) for point in sweep["points"] if point["state"] == "finished"]
        return [(settings, read_run(sweep_dir / folder)) for settings, folder in points]
    except FileNotFoundError:
        raise CheckpointError(f"{sweep_dir} is no sweep, or one that was killed: it has no sweep.json") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error!r}") from error
