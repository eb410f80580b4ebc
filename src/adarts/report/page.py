"""The report: one HTML page that needs nothing but itself, for one run or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adarts.engine import write_atomically
from adarts.errors import ConfigError
from adarts.report import content
from adarts.report.charts import Chart, Series, line_chart, number, percent
from adarts.report.numbers import count, duration
from adarts.report.palette import OPERATIONS
from adarts.report.reading import RunRecord, read_run
from adarts.report.spaces import collapse_rule, space_of
from adarts.report.templates import ENVIRONMENT
from adarts.spaces import get_space


def write_report(run_dirs: Sequence[Path], path: Path | None = None) -> Path:
    """Write the page about runs, searches and trainings.

    Args:
        run_dirs: run folders, finished or not.
        path: the page; None writes ``report.html`` into the folder of the run, or ``comparison.html`` into that of the
            first of several, which keeps its own report.

    Returns:
        The path of the page.

    Raises:
        ConfigError: no run is given.
        CheckpointError: a folder is not a run's, a file in it is damaged, or the page cannot be written.
    """
    if not run_dirs:
        raise ConfigError("a report needs at least one run folder")
    runs = [read_run(Path(run_dir)) for run_dir in run_dirs]
    page = path or runs[0].path / ("report.html" if len(runs) == 1 else "comparison.html")
    # A folder may have a name that is no text; the page then shows it with question marks.
    write_atomically(page, render(runs).encode(errors="replace"))
    return page


def render(runs: Sequence[RunRecord]) -> str:
    """The HTML text of the page."""
    several = len(runs) > 1
    letters = [_letter(index) for index in range(len(runs))]
    return ENVIRONMENT.get_template("page.html").render(
        title=f"{len(runs)} runs side by side" if several else _capital(content.name_of(runs[0])),
        comparison=_comparison(runs, letters) if several else None,
        runs=[_view(run, letter if several else "") for run, letter in zip(runs, letters, strict=True)],
        operations=_operations(runs),
    )


def _view(run: RunRecord, letter: str) -> dict[str, Any]:
    genotype = run.genotype
    return {
        "letter": letter,
        "name": _capital(content.name_of(run)),
        "kind": run.kind,
        "path": str(run.path),
        "conditions": content.conditions(run),
        "notes": content.notes(run),
        "tiles": content.tiles(run),
        "cells": content.drawings(genotype) if genotype else [],
        "groups": content.chart_groups(run),
        "operation_weights": content.operation_weights(run),
        "edge_weights": content.edge_weights(run),
        "costs": content.costs(run),
        "genotype": content.genotype_texts(genotype) if genotype else [],
        "config": run.config_text,
        "environment": content.flat(run.environment),
    }


def _comparison(runs: Sequence[RunRecord], letters: Sequence[str]) -> dict[str, Any]:
    """The table and the common charts of several runs."""
    trained = {
        (str(run.config.get("data")), run.num_epochs, str(run.config.get("network")))
        for run in runs
        if run.kind == "train"
    }
    return {
        "rows": [_row(run, letter) for run, letter in zip(runs, letters, strict=True)],
        "unequal": len(trained) > 1,
        "groups": [
            (heading, charts)
            for kind, heading in (("train", "Trainings together"), ("search", "Searches together"))
            if (charts := _common_charts(runs, letters, kind))
        ],
    }


def _row(run: RunRecord, letter: str) -> dict[str, str]:
    summary, skips, space = run.summary, content.skip_counts(run), space_of(run)

    def words(key: str, form: Callable[[Any], str]) -> str:
        return form(summary[key]) if key in summary else "–"

    return {
        "letter": letter,
        "name": _capital(content.name_of(run)),
        "space": "–" if space is None else space.name,
        "scale": str(run.config.get("scale", "–")),
        "seed": str(run.config.get("seed", "–")),
        "epochs": f"{len(run.metrics)} of {run.num_epochs}" if not summary else str(run.num_epochs),
        "accuracy": words("test_accuracy", lambda value: f"{100 * value:.2f} %"),
        "parameters": words("parameters", count),
        "macs": words("macs", count),
        "skips": " + ".join(map(str, skips.values())) or "–",
        "time": words("seconds", duration),
    }


def _common_charts(runs: Sequence[RunRecord], letters: Sequence[str], kind: str) -> list[Chart]:
    """Charts with a line for every run of a kind, if there is more than one."""
    chosen = [(run, letter) for run, letter in zip(runs, letters, strict=True) if run.kind == kind and run.metrics]
    if len(chosen) < 2:
        return []
    epochs = list(range(max(len(run.metrics) for run, _ in chosen)))

    def series(name: str, cell: str | None = None) -> list[Series]:
        found = []
        for index, (run, letter) in enumerate(chosen):
            values = content.column(run, name, cell)
            found.append(Series(letter, f"series-{index % 6}", values + [None] * (len(epochs) - len(values))))
        return found

    charts = [
        line_chart("Training loss", series("train_loss"), epochs=epochs, words=number),
        line_chart("Training accuracy", series("train_accuracy"), epochs=epochs, words=percent, high=1.0),
    ]
    if kind == "search":
        skips = series("skips", "normal")
        title = "Skip connections in the normal cell"
        rule = collapse_rule(space_of(run) for run, _ in chosen)
        charts.append(line_chart(title, skips, epochs=epochs, high=4.0, whole=True, rule=rule))
    return [chart for chart in charts if chart]


def _operations(runs: Sequence[RunRecord]) -> list[str]:
    """All operations that the page may show, for its legend and its colors."""
    names = dict.fromkeys(OPERATIONS)
    for run in runs:
        if run.genotype:
            names |= dict.fromkeys(get_space(run.genotype.space).operations)
            used = (pair[0] for cell in run.genotype.cells.values() for pairs in cell.nodes for pair in pairs)
            names |= dict.fromkeys(used)
    return list(names)


def _letter(index: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    return (_letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
