"""What the points of a sweep found: read from their run folders, then summed up over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
    """

    point: Point
    state: State
    error: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    collapsed: bool = False


@dataclass(frozen=True)
class SeedGroup:
    """The finished points that differ in the seed alone.

    Attributes:
        settings: what they have in common: the method, and what else varies.
        seeds: of the finished points.
        collapsed: how many of them collapsed.
        figures: by name.
    """

    settings: Mapping[str, Any]
    seeds: Sequence[int]
    collapsed: int
    figures: Mapping[str, Spread]


def finished(point: Point, folder: Path) -> PointResult:
    """What a finished search found; a :class:`CheckpointError` where a file in its run folder is damaged."""
    run = read_run(folder)
    figures = {f"skips.{kind}": float(number) for kind, number in run.summary["skips"].items()}
    if run.genotype is not None:
        figures |= {f"weight_free.{kind}": float(run.genotype.num_weight_free(kind)) for kind in run.genotype.cells}
    figures |= accuracies(run.metrics[-1])
    figures["seconds"] = run.summary["seconds"]
    if known := run.summary.get("truth"):
        figures |= {"true.cifar10": known["cifar10"], "true.rank": known["rank"]}
    return PointResult(point, "finished", None, figures, run.summary["collapsed"])


def accuracies(record: Mapping[str, Any]) -> dict[str, float]:
    """Those that a metrics record has: of the last epoch on the images of the weights and of the alphas, of the supernet."""
    return {name: record[name] for name in _ACCURACIES if record.get(name) is not None}


def groups(outcomes: Sequence[PointResult]) -> list[SeedGroup]:
    """Sum up what is finished over the seeds, by method and what else varies."""
    members: dict[str, list[PointResult]] = {}
    for outcome in outcomes:
        common = members.setdefault(repr({**outcome.point.settings, "seed": None}), [])
        if outcome.state == "finished":
            common.append(outcome)
    return [_group(those) for those in members.values() if those]


def _group(members: Sequence[PointResult]) -> SeedGroup:
    settings = {name: value for name, value in members[0].point.settings.items() if name != "seed"}
    names = dict.fromkeys(name for outcome in members for name in outcome.figures)
    return SeedGroup(
        settings,
        [outcome.point.settings["seed"] for outcome in members],
        sum(outcome.collapsed for outcome in members),
        {name: Spread.of([o.figures[name] for o in members if name in o.figures]) for name in names},
    )
