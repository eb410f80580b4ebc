"""What the points of a sweep found: read from their run folders, then summed up over the seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adarts.report.charts import by_epoch
from adarts.report.numbers import Spread
from adarts.report.reading import read_run
from adarts.sweeping.grid import Point

State = Literal["waiting", "running", "finished", "failed", "stopped"]

_ACCURACIES = ("train_accuracy", "alphas_accuracy", "supernet_accuracy")


@dataclass(frozen=True)
class PointResult:
    """What became of a point.

    Attributes:
        point: the search.
        state: finished, or why not.
        error: of a point that failed, in one line.
        figures: of a finished point: numbers by name, such as ``skips.normal``.
        collapsed: whether the normal cell of a finished point has too many skip connections.
        skips: the skip connections by kind of cell after each epoch of a finished point.
        truth: the true accuracy on CIFAR-10 of the cells after each epoch, in percent, in a space that knows it.
    """

    point: Point
    state: State
    error: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    collapsed: bool = False
    skips: Sequence[Mapping[str, int]] = ()
    truth: Sequence[float] = ()


@dataclass(frozen=True)
class SeedGroup:
    """The finished points that differ in the seed alone.

    Attributes:
        settings: what they have in common: the method, and what else varies.
        seeds: of the finished points.
        collapsed: how many of them collapsed.
        figures: by name.
        skips_by_epoch: one record an epoch: the epoch as in `metrics.jsonl`, n, and the mean skip connections by kind of cell.
        truth_by_epoch: the same for the true accuracy: epoch, n, mean, sd (None for one seed) and worst.
    """

    settings: Mapping[str, Any]
    seeds: Sequence[int]
    collapsed: int
    figures: Mapping[str, Spread]
    skips_by_epoch: Sequence[Mapping[str, float]]
    truth_by_epoch: Sequence[Mapping[str, float | None]] = ()


def finished(point: Point, folder: Path) -> PointResult:
    """What a finished search found.

    Args:
        point: the search.
        folder: its run folder.

    Raises:
        CheckpointError: a file in it is damaged.
    """
    run = read_run(folder)
    figures = {f"skips.{kind}": float(number) for kind, number in run.summary["skips"].items()}
    if run.genotype is not None:
        figures |= {f"weight_free.{kind}": float(run.genotype.num_weight_free(kind)) for kind in run.genotype.cells}
    figures |= accuracies(run.metrics[-1])
    figures["seconds"] = run.summary["seconds"]
    skips = [record["skips"] for record in run.metrics]
    truth = [record["truth"]["cifar10"] for record in run.metrics if record.get("truth")]
    if known := run.summary.get("truth"):
        figures |= {"true.cifar10": known["cifar10"], "true.rank": known["rank"]}
    return PointResult(point, "finished", None, figures, run.summary["collapsed"], skips, truth)


def accuracies(record: Mapping[str, Any]) -> dict[str, float]:
    """Those that a metrics record has: of the last epoch on the images of the weights and of the alphas, of the supernet."""
    return {name: record[name] for name in _ACCURACIES if record.get(name) is not None}


def groups(outcomes: Sequence[PointResult]) -> list[SeedGroup]:
    """Sum up what is finished over the seeds, by method and what else varies."""
    found: list[tuple[dict[str, Any], list[PointResult]]] = []
    for outcome in outcomes:
        common = {name: value for name, value in outcome.point.settings.items() if name != "seed"}
        members = next((members for settings, members in found if settings == common), None)
        if members is None:
            members = []
            found.append((common, members))
        if outcome.state == "finished":
            members.append(outcome)
    return [_group(settings, members) for settings, members in found if members]


def _group(settings: Mapping[str, Any], members: Sequence[PointResult]) -> SeedGroup:
    names = dict.fromkeys(name for outcome in members for name in outcome.figures)
    return SeedGroup(
        settings,
        [outcome.point.settings["seed"] for outcome in members],
        sum(outcome.collapsed for outcome in members),
        {name: Spread.of([o.figures[name] for o in members if name in o.figures]) for name in names},
        list(_skips_by_epoch([outcome.skips for outcome in members])),
        list(_truth_by_epoch([outcome.truth for outcome in members])),
    )


def _skips_by_epoch(runs: Sequence[Sequence[Mapping[str, int]]]) -> Iterator[Mapping[str, float]]:
    for epoch, there in by_epoch(runs):
        means = {kind: statistics.fmean(skips[kind] for skips in there) for kind in there[0]}
        yield {"epoch": epoch, "n": len(there), **means}


def _truth_by_epoch(runs: Sequence[Sequence[float]]) -> Iterator[Mapping[str, float | None]]:
    for epoch, values in by_epoch(runs):
        spread = Spread.of(values)
        yield {"epoch": epoch, "n": spread.n, "mean": spread.mean, "sd": spread.sd, "worst": min(values)}
