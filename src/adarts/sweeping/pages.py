"""The result files of a sweep: `sweep.json` and `sweep.md`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import Field

from adarts.errors import CheckpointError, refusing
from adarts.report.numbers import shown
from adarts.report.reading import Checked, Count, Figure, check
from adarts.sweeping.results import PointResult, SeedGroup, State, groups
from adarts.sweeping.trainings import TrainingResult
from adarts.truth.floors import Floor

_VERSION = 2
CONSTANT = "always the largest class"
"""The name of the floor of a training, which needs no network."""

Floors = Mapping[str, Sequence[Floor]]
"""By space, cells that need no search, against which its searches are held."""


def content(
    outcomes: Sequence[PointResult[Any]],
    found: Sequence[SeedGroup],
    facts: Mapping[str, Any],
    floors: Floors,
    trained: Sequence[TrainingResult] = (),
) -> dict[str, Any]:
    """The content of `sweep.json`.

    Args:
        outcomes: results of all points.
        found: results summarized over the seeds.
        facts: environment, where the searches run, how many at once, threads.
        floors: the floors of the spaces.
        trained: results of the trainings.
    """
    points = [
        {
            **_record(outcome, f"points/{outcome.point.name}"),
            "collapsed": outcome.collapsed if outcome.state == "finished" else None,
            "beyond": outcome.beyond if outcome.state == "finished" else None,
        }
        for outcome in outcomes
    ]
    levels = {space: [floor.record() for floor in of_space] for space, of_space in floors.items()}
    head = {"format": "adarts-sweep", "version": _VERSION, **facts, "floors": levels}
    networks = [
        {
            "settings": group.settings,
            "seeds": group.seeds,
            "figures": {name: asdict(of) for name, of in group.figures.items()},
        }
        for group in groups(trained)
    ]
    trainings = [_record(one, f"trainings/{one.folder.name}") for one in trained]
    head |= {"largest_class": _shares(trained)}
    return {**head, "groups": list(map(asdict, found)), "points": points, "networks": networks, "trainings": trainings}


def read_content(sweep_dir: Path) -> dict[str, Any]:
    """Read `sweep.json`.

    Raises:
        CheckpointError: it is missing or damaged, or another version wrote it.
    """
    with refusing(f"{sweep_dir} has no sweep.json that can be read: it is not a sweep", CheckpointError):
        whole: dict[str, Any] = json.loads((sweep_dir / "sweep.json").read_bytes())
        version = whole["version"]
    if version != _VERSION:
        raise CheckpointError(
            f"{sweep_dir}/sweep.json is of another version of adarts; run the command of the sweep again"
        )
    check(_Content, whole, sweep_dir / "sweep.json")
    return whole


class _Settings(Checked):
    method: str


class _Job(Checked):
    name: str
    folder: str = Field(pattern=r"^(points|trainings)/[\w.=+-]+$")
    settings: _Settings
    epochs: Count
    state: State
    error: str | None


class _Spread(Checked, extra="forbid"):
    n: Count
    mean: Figure
    sd: Figure | None


class _Group(Checked):
    settings: _Settings
    figures: dict[str, _Spread]


class _Content(Checked):
    points: list[_Job]
    trainings: list[_Job]
    groups: list[_Group]
    networks: list[_Group]
    largest_class: list[Figure]


def _record(outcome: PointResult[Any], folder: str) -> dict[str, Any]:
    return {
        "name": outcome.point.name,
        "folder": folder,
        "log": f"logs/{outcome.point.name}.txt",
        "settings": outcome.point.settings,
        "epochs": outcome.point.epochs,
        "state": outcome.state,
        "error": outcome.error,
        "figures": outcome.figures if outcome.state == "finished" else {},
    }


def page(
    title: str,
    outcomes: Sequence[PointResult[Any]],
    found: Sequence[SeedGroup],
    facts: Mapping[str, Any],
    floors: Floors,
    trained: Sequence[TrainingResult] = (),
) -> str:
    """The content of `sweep.md`."""
    machine = facts["environment"]
    rows = [
        [f"[{o.point.name}](points/{o.point.name})", o.state, o.error or figures_in_words(o.figures)] for o in outcomes
    ]
    return f"""# {title}

- command: `{machine["command"] or "from Python"}`
- {_place(facts)}
- searches at once: {facts["slots"]}, threads per search: {facts["threads"]}
- adarts {machine["adarts"]}, commit {machine["git_commit"] or "unknown"}, torch {machine["torch"]}, Python {machine["python"]}
- started: {machine["started"]}

Mean ± sample standard deviation over the seeds, after the last epoch. Accuracies of the supernet: during training on the
images for the weights (train) and for the alphas (alphas), and measured after the epoch (supernet).

{summary(found)}
{_trained(trained)}{_held_against(floors)}
## Points

{_table(["point", "state", "figures"], rows)}
"""


def _trained(trained: Sequence[TrainingResult]) -> str:
    """The section about the trainings; empty if there are none."""
    if not trained:
        return ""
    return f"""
## The cells, trained

Every search's cells and random cells, each trained alone with the seed of its search. The networks of random cells are the
narrowest with at least the mean number of parameters of the others. Accuracies on the test images after the last epoch; balanced:
the mean over the classes.

{networks(trained)}
"""


def networks(trained: Sequence[TrainingResult]) -> str:
    """The table of the trainings, in Markdown and aligned for the terminal."""
    head, rows = _by_group(groups(trained), [])
    if not rows:
        return "No training is finished."
    place = head.index(heading("test_accuracy"))
    floors = [
        [CONSTANT, *[""] * (place - 1), f"{100 * share:.1f} %", *[""] * (len(head) - place - 1)]
        for share in _shares(trained)
    ]
    return _table(head, [*rows, *floors])


def _shares(trained: Sequence[TrainingResult]) -> list[float]:
    """What always answering the largest class reaches, for each data set."""
    return sorted({one.constant for one in trained if one.state == "finished"})


def _place(facts: Mapping[str, Any]) -> str:
    machine = facts["environment"]
    if facts["on"] == "local":
        return f"machine: {machine['cpu']}, {machine['cores']} cores, {machine['device']}"
    return f"machines: jobs of {facts['on']}, submitted on {machine['host']}; `environment.json` of a point names its machine"


def _held_against(floors: Floors) -> str:
    """The section about cells that need no search; empty if no accuracies of cells are known."""
    rows = [
        [
            space,
            floor.name,
            f"{one.spread.n:,}",
            one.spread.words("{:.2f}".format),
            f"{one.worst:.2f}",
            f"{one.best:.2f}",
        ]
        for space, of_space in floors.items()
        for floor in of_space
        for one in [floor.accuracies["cifar10"]]
    ]
    if not rows:
        return ""
    return f"""
## Cells that need no search

What the searches must beat: accuracies on CIFAR-10 in percent, true in NAS-Bench-201, estimated in the DARTS space. A column
`beyond` counts the searches whose estimate is beyond its data and not to be trusted.

{_table(["space", "cells", "n", "mean ± sd", "worst", "best"], rows)}
"""


def summary(found: Sequence[SeedGroup]) -> str:
    """The table of the searches, in Markdown and aligned for the terminal."""
    head, rows = _by_group(found, ["collapsed", *(["beyond"] if any(group.beyond for group in found) else [])])
    return _table(head, rows) if rows else "No point is finished."


def _by_group(found: Sequence[SeedGroup], counts: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table with one row for each group."""
    settings = list(dict.fromkeys(name for group in found for name in group.settings))
    figures = list(dict.fromkeys(name for group in found for name in group.figures))
    judged = {name for group in found for name in group.worst}

    def cells(group: SeedGroup, name: str) -> list[str]:
        words = group.figures[name].words(*_form(name)) if name in group.figures else ""
        worst = f"{group.worst[name]:.2f}" if name in group.worst else ""
        return [words, worst] if name in judged else [words]

    rows = [
        [
            *(shown(group.settings[name]) if name in group.settings else "" for name in settings),
            str(len(group.seeds)),
            *chain.from_iterable(cells(group, name) for name in figures),
            *(f"{getattr(group, count)} of {len(group.seeds)}" for count in counts),
        ]
        for group in found
    ]
    heads = chain.from_iterable([heading(name), "worst"] if name in judged else [heading(name)] for name in figures)
    return [*settings, "n", *heads, *counts], rows


def figures_in_words(figures: Mapping[str, float]) -> str:
    """The figures of a point in one line."""
    words = {heading(name): (value, *_form(name)) for name, value in figures.items()}
    return ", ".join(f"{heading} {form(value)}{unit}" for heading, (value, form, unit) in words.items())


def _form(name: str) -> tuple[Callable[[float], str], str]:
    """The format of a number, and its unit."""
    if name.endswith("_accuracy"):
        return lambda value: f"{100 * value:.1f}", " %"
    if name.endswith(".cifar10"):
        return "{:.2f}".format, ""
    if name == "parameters":
        return "{:,.0f}".format, ""
    if name == "seconds":
        return "{:.1f}".format, " s"
    return lambda value: f"{value:.2f}".removesuffix(".00"), ""


def heading(name: str) -> str:
    """The title of a figure in tables."""
    return name.removesuffix("_accuracy").replace("_", "-").replace(".", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])
