"""The results of a sweep as files: `sweep.json` for programs, `sweep.md` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from adarts.report.numbers import Spread, shown
from adarts.sweeping.results import PointResult, SeedGroup

_PERCENT = "accuracy"


def content(outcomes: Sequence[PointResult], found: Sequence[SeedGroup], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `sweep.json` holds.

    Args:
        outcomes: of all points.
        found: the points summed up over seeds.
        facts: what else there is to know: environment, slots, threads.
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
            "figures": outcome.figures,
        }
        for outcome in outcomes
    ]
    return {
        "format": "adarts-sweep",
        "version": 1,
        **facts,
        "groups": [asdict(group) for group in found],
        "points": points,
    }


def page(title: str, outcomes: Sequence[PointResult], found: Sequence[SeedGroup], facts: Mapping[str, Any]) -> str:
    """What `sweep.md` holds."""
    machine = facts["environment"]
    lines = [
        f"# {title}",
        "",
        f"- command: `{machine['command'] or 'from Python'}`",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['device']}; searches at a time: {facts['slots']}, "
        f"threads of each: {facts['threads']}",
        f"- adarts {machine['adarts']}, commit {machine['git_commit'] or 'unknown'}, torch {machine['torch']}, "
        f"Python {machine['python']}, {machine['started']}",
        "",
        "Mean ± sample standard deviation over the seeds, after the last epoch. The accuracies are those of the supernet in "
        "training, on the images of the weights (train) and of the alphas, and measured after the epoch (supernet).",
        "",
        summary(found),
        "",
        "## Points",
        "",
        _table(["point", "state", "figures"], [_row(outcome) for outcome in outcomes]),
    ]
    return "\n".join(lines) + "\n"


def summary(found: Sequence[SeedGroup]) -> str:
    """The table of the groups: aligned, so that it reads well on a terminal, and Markdown, too."""
    settings = list(dict.fromkeys(name for group in found for name in group.settings))
    figures = list(dict.fromkeys(name for group in found for name in group.figures))
    head = [*settings, "n", *map(_heading, figures), "collapsed"]
    rows = [
        [
            *(shown(group.settings[name]) for name in settings),
            str(len(group.seeds)),
            *(spread_in_words(name, group.figures[name]) if name in group.figures else "" for name in figures),
            f"{group.collapsed} of {len(group.seeds)}",
        ]
        for group in found
    ]
    return _table(head, rows) if rows else "No point is finished."


def figures_in_words(figures: Mapping[str, float]) -> str:
    """The figures of one point in one line."""
    return ", ".join(f"{_heading(name)} {_number(name, value)}" for name, value in figures.items())


def spread_in_words(name: str, spread: Spread) -> str:
    """``41.2 ± 0.8 %``; without a deviation for one seed."""
    mean = _number(name, spread.mean)
    if spread.sd is None:
        return mean
    number, *unit = mean.split()
    deviation = _number(name, spread.sd).split()[0]
    return " ".join([number, "±", deviation, *unit])


def _number(name: str, value: float) -> str:
    if name.endswith(_PERCENT):
        return f"{100 * value:.1f} %"
    if name == "seconds":
        return f"{value:.1f} s"
    return f"{value:.2f}".removesuffix(".00")


def _heading(name: str) -> str:
    return name.removesuffix(f"_{_PERCENT}").replace("_", "-").replace(".", " ")


def _row(outcome: PointResult) -> list[str]:
    name = outcome.point.name
    return [f"[{name}](points/{name})", outcome.state, outcome.error or figures_in_words(outcome.figures)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "| " + " | ".join("-" * width for width in widths) + " |", *lines[1:]])
