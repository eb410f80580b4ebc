"""Compare searches that differ only in the seed, to see how much of the result is chance.

It compares the accuracies that the judge of the space tells, the operations on each edge, and the channels that attention
selected.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from adarts.engine import write_atomically
from adarts.engine.files import to_json
from adarts.errors import CheckpointError, ConfigError, DataError, refusing
from adarts.report.charts import Chart, Rule, Series, draw
from adarts.report.numbers import Spread, shown
from adarts.report.palette import series_look
from adarts.report.reading import RunRecord, read_run
from adarts.spaces import Genotype, derive, get_space, never_none
from adarts.truth.floors import Accuracy
from adarts.truth.judge import Answer, Judge, find_judge

DRAWING = "stability.svg"


@dataclass(frozen=True)
class Found:
    """Result of one search.

    Attributes:
        seed: seed of the search.
        truth: what the judge says of its cells.
        channels: stability of its selected channels per epoch, if measured.
        without_none: the same of the cell derived from the last operation weights without `none`; None if the weights were not
            recorded, or if `none` never wins in the space. If the cell has no `none`, the same as `truth`.
        epochs: by data set, the accuracy of the cells derived after each epoch.
    """

    seed: int
    truth: Answer
    channels: list[float]
    without_none: Answer | None = None
    epochs: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class SeedGroup:
    """Searches that differ only in the seed.

    Attributes:
        settings: the method and the other varied settings.
        found: one entry per seed.
        accuracies: accuracies by data set.
        without_none: accuracies if `none` is never chosen; empty if unknown.
        equal_edges: share of the kept edges with the same operation, over all pairs of seeds; None for one seed.
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
        judge: the judge of the space; its floors are what the searches are held against.
        left_out: searches whose cells the judge knows nothing about, with the reason.
        beyond: searches whose estimated accuracy is beyond its data and not to be trusted, with the reason.
    """

    sweep_dir: Path
    groups: list[SeedGroup]
    dataset: str
    judge: Judge
    left_out: list[str]
    beyond: list[str]


def stability(sweep_dir: Path) -> StabilityResult:
    """Summarize the finished searches of a sweep; write `stability.json` and a drawing into its folder.

    Args:
        sweep_dir: folder of the sweep; searches in spaces without a judge are ignored.

    Raises:
        DataError: no search is finished whose cells can be judged.
        ConfigError: the searches are in several spaces that have a judge.
        CheckpointError: the folder is not a sweep, or a file in it is damaged.
    """
    data, left_out, beyond = set(), [], []
    members: dict[str, tuple[Mapping[str, Any], list[Found]]] = {}
    judges: dict[str, Judge] = {}
    for settings, run in _finished(sweep_dir):
        if run.genotype is None or (judge := find_judge(run.genotype.space)) is None:
            continue
        judges[judge.space.name] = judge
        name = ", ".join(f"{name} {shown(value)}" for name, value in settings.items())
        try:
            with refusing(f"{run.path}: its metrics.jsonl is damaged", CheckpointError):
                found = _found(settings["seed"], run, run.genotype, judge)
        except DataError as error:
            left_out.append(f"{name}: {error}")
            continue
        if (reason := found.truth.beyond) is not None:
            beyond.append(f"{name}: {reason}")
        data.add(str(run.config.get("data")))
        common = {name: value for name, value in settings.items() if name != "seed"}
        members.setdefault(json.dumps(common), (common, []))[1].append(found)
    if len(judges) > 1:
        raise ConfigError(f"{sweep_dir}: searches in the spaces {', '.join(judges)}; only those of one can be compared")
    if not members:
        why = left_out[0] if left_out else "none is in a space whose cells have a true or estimated accuracy"
        raise DataError(f"{sweep_dir}: no finished search whose cells can be judged; {why}")
    (judge,) = judges.values()
    result = StabilityResult(
        sweep_dir,
        [group(common, found) for common, found in members.values()],
        judge.dataset_of(data.pop() if len(data) == 1 else ""),
        judge,
        left_out,
        beyond,
    )
    write_atomically(sweep_dir / "stability.json", to_json(_content(result)))
    if drawing := picture(result):
        write_atomically(sweep_dir / DRAWING, drawing.encode())
    return result


def _found(seed: int, run: RunRecord, genotype: Genotype, judge: Judge) -> Found:
    truth = judge.of(genotype)
    # The first epoch has no previous channels.
    channels = [statistics.fmean(r["channel_stability"].values()) for r in run.metrics if r.get("channel_stability")]
    known = [record["truth"] for record in run.metrics if record.get("truth")]
    epochs = {dataset: [told[dataset] for told in known] for dataset in judge.data_sets} if known else {}
    return Found(seed, truth, channels, _without_none(run, genotype, judge), epochs)


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
    """The share of the kept edges with the same operation, over all pairs of cells given as text; None for a single cell.

    Where every edge is kept, `none` is an operation like the others.
    """
    shares = [len(one & other) / len(one) for one, other in combinations(map(_choices, cells), 2)]
    return statistics.fmean(shares) if shares else None


def _choices(cell: str) -> set[tuple[str, tuple[int, int], str]]:
    """The operations of a cell's edges, with kind and edge."""
    genotype = Genotype.from_text(cell)
    space = get_space(genotype.space)
    found = set()
    for kind in space.cell_kinds:
        kept = genotype.by_edge(kind)
        edges = space.edges if space.kept_edges is None else kept
        found |= {(kind, edge, kept.get(edge, "none")) for edge in edges}
    return found


def _content(result: StabilityResult) -> dict[str, Any]:
    def cell(found: Found) -> dict[str, Any]:
        accuracies = {dataset: found.truth.accuracy(dataset) for dataset in result.judge.data_sets}
        without_none = None if found.without_none is None else found.without_none.arch
        known = {"seed": found.seed, "arch": found.truth.arch, **accuracies}
        return {**known, "channels": found.channels, "without_none": without_none}

    return {
        "format": "adarts-stability",
        "version": 1,
        "accuracies": f"{result.judge.word} {result.judge.figure}",
        "groups": [{**asdict(one), "found": [cell(found) for found in one.found]} for one in result.groups],
        "floors": [floor.record() for floor in result.judge.floors()],
        "left_out": result.left_out,
        "beyond": result.beyond,
    }


def picture(result: StabilityResult) -> str | None:
    """Accuracy by epoch, one chart per group; None if no search recorded it."""
    judge = result.judge
    floors = judge.floors()
    best, random = floors[-1].accuracies[result.dataset].best, floors[0].accuracies[result.dataset].spread.mean
    charts = []
    for one in result.groups:
        if seeds := [found.epochs[result.dataset] for found in one.found if found.epochs]:
            name = ", ".join(map(shown, one.settings.values()))
            charts.append(
                Chart(
                    f"{name}: {one.accuracies[result.dataset].spread.words('{:.2f}'.format)}",
                    [Series("", series_look(0), seeds)],
                    low=best - judge.depth,
                    high=best,
                    rule=Rule(random),
                )
            )
    if not charts:
        return None
    return draw(
        charts,
        min(len(charts), 3),
        f"{judge.word.capitalize()} accuracy on {judge.data_sets[result.dataset]} of the cells after each epoch, in percent",
        f"mean of the seeds, in a band from the lowest to the highest; the straight line is the mean of {floors[0].name}; values "
        f"at the lower edge are {judge.depth:g} points or more below the best of {floors[-1].name}",
        size=(220, 120),
    ).svg()


def _accuracies(truths: Sequence[Answer]) -> dict[str, Accuracy]:
    return {name: Accuracy.of(truth.accuracy(name) for truth in truths) for name in truths[0].data_sets}


def _without_none(run: RunRecord, found: Genotype, judge: Judge) -> Answer | None:
    """The cell without `none`, which may win an edge in spaces that keep every edge; shows the cost of that rule."""
    space = judge.space
    if space.kept_edges is not None:
        return None
    if all(len(found.by_edge(kind)) == len(space.edges) for kind in space.cell_kinds):
        return judge.of(found)  # the cell has no `none`; not every method derives it from the last operation weights
    if not run.metrics or not (rows := run.metrics[-1].get("operation_weights")):
        return None
    weights = {kind: torch.tensor(rows[kind]) for kind in space.cell_kinds}
    return judge.of(derive(space, weights, rule=never_none))


def _finished(sweep_dir: Path) -> list[tuple[Mapping[str, Any], RunRecord]]:
    """Settings and run of every finished search in a sweep."""
    path = sweep_dir / "sweep.json"
    if not path.exists():
        raise CheckpointError(f"{sweep_dir} has no sweep.json: it is not a sweep, or the sweep was killed")
    with refusing(f"{path} is damaged", CheckpointError):
        sweep = json.loads(path.read_bytes())
        if sweep["format"] != "adarts-sweep":
            raise CheckpointError(f"{path} was not written by a sweep")
        points = [point for point in sweep["points"] if point["state"] == "finished"]
        found = [(dict(point["settings"]), sweep_dir / point["folder"]) for point in points]
        if not all("seed" in settings for settings, _ in found):
            raise ValueError("the seed of a point is missing")
    return [(settings, read_run(folder)) for settings, folder in found]
