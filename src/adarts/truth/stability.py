"""Compare searches in NAS-Bench-201 that differ only in the seed, to see how much of the result is chance.

It compares true accuracies, the operations on each edge, and the channels that attention selected.
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
from adarts.truth.floors import Accuracy
from adarts.truth.table import DATA_SETS, Truth, all_truths, dataset_of, truth_of

DRAWING = "stability.svg"
_KIND = NASBENCH201.cell_kinds[0]
_LOWEST = 15  # lower end of the drawing, in points below the best cell; most found cells are above it


@dataclass(frozen=True)
class Found:
    """Result of one search.

    Attributes:
        seed: seed of the search.
        truth: measurements of its cell.
        channels: stability of its selected channels per epoch, if measured.
        without_none: measurements of the cell derived from the last operation weights without `none`; None if the weights were
            not recorded. If the cell has no `none`, the same as `truth`.
        epochs: by data set, the true accuracy of the cell derived after each epoch.
    """

    seed: int
    truth: Truth
    channels: list[float]
    without_none: Truth | None = None
    epochs: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class SeedGroup:
    """Searches that differ only in the seed.

    Attributes:
        settings: the method and the other varied settings.
        found: one entry per seed.
        accuracies: accuracies by data set.
        without_none: accuracies if `none` is never chosen; empty if no search recorded its operation weights.
        equal_edges: share of edges with the same operation, over all pairs of seeds; None for one seed. Two random cells
            agree on a fifth.
        channels: share of the channels selected in the last update of an epoch that were also selected in the last update of
            the previous epoch; mean over the epochs, spread over the seeds. None if no search recorded it.
    """

    settings: Mapping[str, Any]
    found: list[Found]
    accuracies: dict[str, Accuracy]
    without_none: dict[str, Accuracy]
    equal_edges: float | None
    channels: Spread | None


@dataclass(frozen=True)
class StabilityResult:
    """Result of :func:`stability`.

    Attributes:
        sweep_dir: folder of the sweep, with `stability.json`.
        groups: groups in the order of the sweep.
        dataset: the data set whose accuracies are shown.
        anything: accuracies of all cells in the space by data set, i.e. of a random cell.
    """

    sweep_dir: Path
    groups: list[SeedGroup]
    dataset: str
    anything: dict[str, Accuracy]


def stability(sweep_dir: Path) -> StabilityResult:
    """Summarize the finished searches of a sweep; write `stability.json` and a drawing into its folder.

    Args:
        sweep_dir: folder of the sweep; searches in other spaces are ignored.

    Raises:
        DataError: no search in the space `nasbench201` is finished.
        CheckpointError: the folder is not a sweep, or a file in it is damaged.
    """
    data = set()
    members: dict[str, tuple[Mapping[str, Any], list[Found]]] = {}
    for settings, run in _finished(sweep_dir):
        if run.genotype is None or run.genotype.space != NASBENCH201.name:
            continue
        data.add(str(run.config.get("data")))
        common = {name: value for name, value in settings.items() if name != "seed"}
        _, found = members.setdefault(json.dumps(common), (common, []))
        # The first epoch has no previous channels.
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
    """Summarize searches that differ only in the seed."""
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
    """True accuracy by epoch, one chart per group; None if no search recorded it."""
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
        f"True accuracy on {DATA_SETS[result.dataset]} of the cell derived after each epoch, in percent",
        "mean of the seeds, in a band from the lowest to the highest; the straight line is the mean of all cells; values at the "
        f"lower edge are {_LOWEST} points or more below the best cell",
        size=(220, 120),
    )


def _accuracies(truths: Sequence[Truth]) -> dict[str, Accuracy]:
    return {dataset: Accuracy.of(truth.accuracy(dataset) for truth in truths) for dataset in DATA_SETS}


def _without_none(run: RunRecord, found: Genotype) -> Truth | None:
    """The cell without `none`, which may win an edge in this space; shows the cost of that rule."""
    if sum(map(len, found.cells[_KIND].nodes)) == len(NASBENCH201.edges):
        return truth_of(found)  # the cell has no `none`; not every method derives it from the last operation weights
    if not run.metrics or not (rows := run.metrics[-1].get("operation_weights")):
        return None
    return truth_of(derive(NASBENCH201, {_KIND: torch.tensor(rows[_KIND])}, rule=never_none))


def _finished(sweep_dir: Path) -> list[tuple[Mapping[str, Any], RunRecord]]:
    """Settings and run of every finished search in a sweep."""
    path = sweep_dir / "sweep.json"
    try:
        sweep = json.loads(path.read_bytes())
        if sweep["format"] != "adarts-sweep":
            raise CheckpointError(f"{path} was not written by a sweep")
        points = [(point["settings"], point["folder"]) for point in sweep["points"] if point["state"] == "finished"]
        return [(settings, read_run(sweep_dir / folder)) for settings, folder in points]
    except FileNotFoundError:
        raise CheckpointError(f"{sweep_dir} has no sweep.json: it is not a sweep, or the sweep was killed") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error!r}") from error
