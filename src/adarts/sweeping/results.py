"""What the points of a sweep found: read from their run folders, then summed up over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adarts.engine import Metrics
from adarts.report.numbers import Spread
from adarts.report.reading import read_run
from adarts.sweeping.grid import Point

State = Literal["waiting", "running", "finished", "failed", "stopped"]

_ACCURACIES = ("train_accuracy", "alphas_accuracy", "supernet_accuracy")


@dataclass
class PointResult:
    """A point, and what is known of it by now.

    Attributes:
        point: the search.
        folder: its run folder.
        state: where it is.
        error: why it failed, in one line.
        began: when it was started here, by the monotonic clock.
        ran: seconds that it ran here, after it ended.
        epochs: that are done.
        figures: numbers by name, such as ``skips.normal``; all of them once it is finished.
        collapsed: whether the normal cell of a finished point has too many skip connections.
    """

    point: Point
    folder: Path
    state: State = "waiting"
    error: str | None = None
    began: float = 0.0
    ran: float | None = None
    epochs: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    collapsed: bool = False

    def look(self) -> None:
        """Read how far the search is."""
        records = Metrics(self.folder / "metrics.jsonl").read()
        self.epochs = len(records)
        if records:
            self.figures = accuracies(records[-1]) | _by_kind("skips", records[-1]["skips"])

    def finish(self) -> None:
        """Read what the finished search found; a :class:`CheckpointError` where a file in its run folder is damaged."""
        run = read_run(self.folder)
        self.figures = _by_kind("skips", run.summary["skips"])
        if run.genotype is not None:
            self.figures |= _by_kind("weight_free", {k: run.genotype.num_weight_free(k) for k in run.genotype.cells})
        self.figures |= {**accuracies(run.metrics[-1]), "seconds": run.summary["seconds"]}
        if known := run.summary.get("truth"):
            self.figures |= {"true.cifar10": known["cifar10"], "true.rank": known["rank"]}
        self.collapsed = run.summary["collapsed"]


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


def accuracies(record: Mapping[str, Any]) -> dict[str, float]:
    """Those that a metrics record has: of the last epoch on the images of the weights and of the alphas, of the supernet."""
    return {name: record[name] for name in _ACCURACIES if record.get(name) is not None}


def _by_kind(name: str, numbers: Mapping[str, int]) -> dict[str, float]:
    return {f"{name}.{kind}": float(number) for kind, number in numbers.items()}


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
