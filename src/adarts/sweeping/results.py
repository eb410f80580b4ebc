"""The results of a sweep's points, read from their run folders and summarized over the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.engine import Metrics
from adarts.errors import CheckpointError, refusing
from adarts.report.numbers import Spread
from adarts.report.reading import RunRecord, read_run

State = Literal["waiting", "running", "finished", "failed", "stopped"]

_ACCURACIES = ("train_accuracy", "alphas_accuracy", "supernet_accuracy")


class Task(Protocol):
    """What is run: a :class:`Point`, or a training."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def config(self) -> SearchConfig | TrainConfig: ...
    @property
    def epochs(self) -> int: ...
    @property
    def code(self) -> list[str]: ...


T = TypeVar("T", bound=Task)


@dataclass
class PointResult(Generic[T]):
    """A point and its results so far.

    Attributes:
        point: the search.
        folder: its run folder.
        state: its state.
        error: the reason of a failure, in one line.
        began: when this process heard of its start, by the monotonic clock; None before.
        ran: seconds since then, once it has ended.
        epochs: finished epochs.
        figures: numbers by name, such as ``skips.normal``; complete once it is finished.
        collapsed: whether the normal cell of a finished point has too many skip connections.
        beyond: whether the accuracy of its cells is an estimate beyond its data, and not to be trusted.
    """

    point: T
    folder: Path
    state: State = "waiting"
    error: str | None = None
    began: float | None = None
    ran: float | None = None
    epochs: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    collapsed: bool = False
    beyond: bool = False

    def look(self) -> None:
        """Read the progress of the run."""
        with refusing(f"{self.folder / 'metrics.jsonl'} is damaged", CheckpointError):
            records = Metrics(self.folder / "metrics.jsonl").read()
            self.epochs = len(records)
            if records:
                self.figures = self.figures_of(records[-1])

    def figures_of(self, record: Mapping[str, Any]) -> dict[str, float]:
        """The numbers in the record of an epoch."""
        return accuracies(record) | _by_kind("skips", record["skips"])

    def finish(self) -> None:
        """Read the results of the finished search; raises :class:`CheckpointError` if a file is damaged."""
        with refusing(f"{self.folder}: its summary.json or metrics.jsonl is damaged", CheckpointError):
            self._read(read_run(self.folder))

    def _read(self, run: RunRecord) -> None:
        self.figures = _by_kind("skips", run.summary["skips"])
        if run.genotype is not None:
            self.figures |= _by_kind("weight_free", {k: run.genotype.num_weight_free(k) for k in run.genotype.cells})
        self.figures |= {**accuracies(run.metrics[-1]), "seconds": run.summary["seconds"]}
        if known := run.summary.get("truth"):
            if "estimated" in known:
                self.figures["estimated.cifar10"] = known["cifar10"]
            else:
                self.figures |= {"true.cifar10": known["cifar10"], "true.rank": known["rank"]}
            self.beyond = known.get("beyond") is not None
        self.collapsed = run.summary["collapsed"]


@dataclass(frozen=True)
class SeedGroup:
    """Finished points that differ only in the seed.

    Attributes:
        settings: the method and the other varied settings.
        seeds: seeds of the finished points.
        collapsed: number of collapsed searches.
        figures: spread of each figure over the seeds, by name.
        worst: lowest true or estimated accuracy of the found cells over the seeds, by the name of the figure.
        beyond: number of searches whose estimated accuracy is beyond its data, and not to be trusted.
    """

    settings: Mapping[str, Any]
    seeds: Sequence[int]
    collapsed: int
    figures: Mapping[str, Spread]
    worst: Mapping[str, float] = field(default_factory=dict)
    beyond: int = 0


def accuracies(record: Mapping[str, Any]) -> dict[str, float]:
    """The accuracies in a metrics record: on the images for the weights, on those for the alphas, and of the supernet."""
    return {name: float(record[name]) for name in _ACCURACIES if record.get(name) is not None}


def _by_kind(name: str, numbers: Mapping[str, int]) -> dict[str, float]:
    return {f"{name}.{kind}": float(number) for kind, number in numbers.items()}


def groups(outcomes: Sequence[PointResult[Any]]) -> list[SeedGroup]:
    """Summarize the finished points over the seeds, by method and other varied settings."""
    members: dict[str, list[PointResult[Any]]] = {}
    for outcome in outcomes:
        common = members.setdefault(repr({**outcome.point.settings, "seed": None}), [])
        if outcome.state == "finished":
            common.append(outcome)
    return [_group(those) for those in members.values() if those]


def _group(members: Sequence[PointResult[Any]]) -> SeedGroup:
    settings = {name: value for name, value in members[0].point.settings.items() if name != "seed"}
    names = dict.fromkeys(name for outcome in members for name in outcome.figures)
    values = {name: [o.figures[name] for o in members if name in o.figures] for name in names}
    return SeedGroup(
        settings,
        [outcome.point.settings["seed"] for outcome in members],
        sum(outcome.collapsed for outcome in members),
        {name: Spread.of(values[name]) for name in names},
        {name: min(values[name]) for name in names if name in ("true.cifar10", "estimated.cifar10")},
        sum(outcome.beyond for outcome in members),
    )
