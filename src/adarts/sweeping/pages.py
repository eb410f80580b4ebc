"""The result files of a sweep: `sweep.json` and `sweep.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from adarts.report.numbers import shown
from adarts.sweeping.results import PointResult, SeedGroup


def content(outcomes: Sequence[PointResult], found: Sequence[SeedGroup], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `sweep.json`.

    Args:
        outcomes: results of all points.
        found: results summarized over the seeds.
        facts: environment, slots, threads.
    """
    points = [
        {
            "name": outcome.point.name,
            "folder": f"points/{outcome.point.name}",
            "log": f"logs/{outcome.point.name}.txt",
            "settings": outcome.point.settings,
            "state": outcome.state,
            "error": outcome.error,
            "collapsed": outcome.collapsed if outcome.state == "finished" else None,
            "figures": outcome.figures if outcome.state == "finished" else {},
        }
        for outcome in outcomes
    ]
    return {"format": "adarts-sweep", "version": 1, **facts, "groups": list(map(asdict, found)), "points": points}


def page(title: str, outcomes: Sequence[PointResult], found: Sequence[SeedGroup], facts: Mapping[str, Any]) -> str:
    """The content of `sweep.md`."""
    machine = facts["environment"]
    rows = [
        [f"[{o.point.name}](points/{o.point.name})", o.state, o.error or figures_in_words(o.figures)] for o in outcomes
    ]
    return f"""# {title}

- command: `{machine["command"] or "from Python"}`
- machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["device"]}
- searches at once: {facts["slots"]}, threads per search: {facts["threads"]}
- adarts {machine["adarts"]}, commit {machine["git_commit"] or "unknown"}, torch {machine["torch"]}, Python {machine["python"]}
- started: {machine["started"]}

Mean ± sample standard deviation over the seeds, after the last epoch. Accuracies of the supernet: during training on the
images for the weights (train) and for the alphas (alphas), and measured after the epoch (supernet).

{summary(found)}

## Points

{_table(["point", "state", "figures"], rows)}
"""


def summary(found: Sequence[SeedGroup]) -> str:
    """The table of the groups, in Markdown and aligned for the terminal."""
    settings = list(dict.fromkeys(name for group in found for name in group.settings))
    figures = list(dict.fromkeys(name for group in found for name in group.figures))
    rows = [
        [
            *(shown(group.settings[name]) for name in settings),
            str(len(group.seeds)),
            *(group.figures[name].words(*_form(name)) if name in group.figures else "" for name in figures),
            f"{group.collapsed} of {len(group.seeds)}",
        ]
        for group in found
    ]
    return _table([*settings, "n", *map(_heading, figures), "collapsed"], rows) if rows else "No point is finished."


def figures_in_words(figures: Mapping[str, float]) -> str:
    """The figures of a point in one line."""
    words = {_heading(name): (value, *_form(name)) for name, value in figures.items()}
    return ", ".join(f"{heading} {form(value)}{unit}" for heading, (value, form, unit) in words.items())


def _form(name: str) -> tuple[Callable[[float], str], str]:
    """The format of a number, and its unit."""
    if name.endswith("_accuracy"):
        return lambda value: f"{100 * value:.1f}", " %"
    if name == "seconds":
        return "{:.1f}".format, " s"
    return lambda value: f"{value:.2f}".removesuffix(".00"), ""


def _heading(name: str) -> str:
    return name.removesuffix("_accuracy").replace("_", "-").replace(".", " ")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])
