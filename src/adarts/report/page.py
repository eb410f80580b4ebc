"""Write the report: one self-contained HTML page about one run or several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from adarts.engine import write_atomically
from adarts.engine.run_dirs import list_run_dirs
from adarts.errors import CheckpointError, ConfigError
from adarts.report import confusion, content, curves
from adarts.report.charts import Chart, draw
from adarts.report.drawing import Drawing, inline
from adarts.report.numbers import count, duration
from adarts.report.palette import DARK, HEAT
from adarts.report.reading import RunRecord, read_run
from adarts.report.templates import ENVIRONMENT


@dataclass(frozen=True)
class Lead:
    """The introduction of a page, above its runs if it shows any.

    Attributes:
        title: title of the page.
        paragraphs: text of the introduction.
        head: column titles of the table.
        rows: rows of the table.
        charts: charts below the table; other drawings as they are.
        commands: suggested next steps, as pairs of purpose and command; may be empty.
    """

    title: str
    paragraphs: Sequence[str]
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    charts: Sequence[Chart | Drawing]
    commands: Sequence[tuple[str, str]]


def write_report(run_dirs: Sequence[Path], path: Path | None = None, lead: Lead | None = None) -> Path:
    """Write a page about searches and trainings. Runs that differ only in their seeds are summarized together.

    Args:
        run_dirs: run folders, finished or unfinished, and folders that contain runs, such as that of a sweep or of `adarts run`.
        path: the page. None writes ``report.html`` for a single run or sweep, and otherwise ``comparison.html``, in the first
            folder.
        lead: introduction of the page.

    Returns:
        The path of the page.

    Raises:
        ConfigError: no run is given.
        CheckpointError: a folder contains no run, a file in it is damaged, or the page cannot be written.
    """
    if not run_dirs:
        raise ConfigError("a report needs at least one run folder")
    folders = [Path(run_dir) for run_dir in run_dirs]
    runs = [read_run(run_dir) for folder in folders for run_dir in _runs_in(folder)]
    # Other folders of runs may already have a report.html, as the demo does.
    is_run = len(folders) == 1 and ((folders[0] / "config.yaml").exists() or (folders[0] / "points").exists())
    page = path or folders[0] / ("report.html" if is_run else "comparison.html")
    # The name of a folder may not be valid text; the page then shows question marks in it.
    write_atomically(page, render(runs, lead).encode(errors="replace"))
    return page


def write_page(lead: Lead, path: Path) -> Path:
    """Write a page without runs: a title, text, a table and charts.

    Raises:
        CheckpointError: the page cannot be written.
    """
    write_atomically(path, render([], lead).encode(errors="replace"))
    return path


def _runs_in(folder: Path) -> list[Path]:
    """The folder itself if it is a run folder; otherwise the run folders in it, e.g. those of a sweep or of `adarts run`."""
    if (folder / "config.yaml").exists():
        return [folder]
    points = folder / "points"
    if runs := list_run_dirs(points) or list_run_dirs(folder):
        return runs
    if points.is_dir():
        raise CheckpointError(f"{folder}: no search of this sweep has begun")
    return [folder]


def render(runs: Sequence[RunRecord], lead: Lead | None = None) -> str:
    """Render the page as HTML."""
    groups = [(_letter(index), members) for index, members in enumerate(_by_configuration(runs))]
    title = _capital(content.name_of(runs[0])) if len(runs) == 1 else f"{len(runs)} runs side by side"
    return ENVIRONMENT.get_template("page.html").render(
        title=lead.title if lead else title,
        lead=lead,
        lead_charts=[
            inline((one if isinstance(one, Drawing) else draw([one], size=(560, 220))).svg())
            for one in (lead.charts if lead else ())
        ],
        comparison=_comparison(groups, lead is None) if len(runs) > 1 else None,
        groups=[_view(members, letter if len(runs) > 1 else "") for letter, members in groups],
        dark=DARK,
        heat=HEAT,
    )


def _by_configuration(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Group the runs that differ only in their seeds; groups are in the order of their first runs."""
    groups: list[tuple[Any, list[RunRecord]]] = []
    for run in runs:
        what = {name: value for name, value in run.config.items() if name not in ("seed", "run")}
        cells = run.genotype.to_dict() if run.kind == "train" and run.genotype else None
        for told, members in groups:
            if told == (run.kind, what, cells):
                members.append(run)
                break
        else:
            groups.append(((run.kind, what, cells), [run]))
    return [members for _, members in groups]


def _view(runs: Sequence[RunRecord], letter: str) -> dict[str, Any]:
    run, several = runs[0], len(runs) > 1
    return {
        "letter": letter,
        "name": _capital(content.name_of(run)) + (f", {len(runs)} seeds" if several else ""),
        "kind": run.kind,
        "several": several,
        "paths": [str(run.path) for run in runs],
        "conditions": content.conditions(runs),
        "notes": content.notes(runs),
        "tiles": content.tiles(runs),
        "cells": content.cells(runs),
        "charts": curves.chart_groups(runs),
        "tables": [
            ("The front: parameters and accuracy of each cell", [] if several else content.front(run)),
            (
                f"{content.word_of(run)} accuracy on CIFAR-10, held against cells that need no search",
                content.floors(runs),
            ),
            ("Data", [fact for fact in run.data_facts if fact[0] != "note"]),
            ("Costs and checks", [] if several else content.costs(run)),
        ],
        "images": content.images(run),
        "matrix": confusion.matrix(run.answers) if run.answers else None,
        "pairs": confusion.pairs(run.answers) if run.answers else [],
        "mistakes": (mistakes := confusion.mistakes(run.answers) if run.answers else []),
        "heated": any("heat" in one for one in mistakes),
        "no_heat": run.answers.get("no_heat"),
        "genotype": content.genotype_texts(runs),
        "config": run.config_text,
        "environment": json.dumps(run.environment, indent=1, ensure_ascii=False),
    }


def _comparison(groups: Sequence[tuple[str, Sequence[RunRecord]]], warns: bool) -> dict[str, Any]:
    """The table and charts that compare several runs, and warnings if trainings differ in more than their cells."""
    trained = [run for _, members in groups for run in members if run.kind == "train"]
    conditions = {(str(run.config.get("data")), run.num_epochs, str(run.config.get("network"))) for run in trained}
    rows = [_row(members, letter) for letter, members in groups]
    head = ["Run", *(title for title in _FIGURES if any(row[title] for row in rows)), *_differing(rows)]
    images = {run.summary["data_fingerprint"] for run in trained if "data_fingerprint" in run.summary}
    return {
        "head": head,
        "rows": [[row[title] or "–" for title in head] for row in rows],
        "unequal": warns and len(conditions) > 1,
        "other_images": warns and len(images) > 1,
        "seeds": any(len(members) > 1 for _, members in groups),
        "charts": [
            (heading, charts)
            for kind, heading in (("train", "Trainings together"), ("search", "Searches together"))
            if (charts := curves.common_charts(groups, kind))
        ],
        "trade_offs": curves.trade_offs(groups),
    }


_FIGURES = "Test accuracy", "Parameters", "MACs", "Found cells, CIFAR-10", "Skips", "Epochs", "Time"
_SETTINGS = "Space", "Scale", "Seed"


def _row(runs: Sequence[RunRecord], letter: str) -> dict[str, str | None]:
    """A row of the comparison, by the titles of the columns."""
    run, space, found = runs[0], runs[0].space, content.accuracy_of(runs)
    link = Markup('<b class="letter">{0}</b> <a href="#run-{0}">{1}</a>')
    return {
        "Run": link.format(letter, _capital(content.name_of(run))),
        "Test accuracy": content.over(runs, "test_accuracy", "{:.2f}".format, 100, " %"),
        "Parameters": content.over(runs, "parameters", count),
        "MACs": content.over(runs, "macs", count),
        "Found cells, CIFAR-10": None if found is None else f"{content.word_of(run).lower()} {found}",
        "Skips": content.skips_in_words(runs),
        "Epochs": str(run.num_epochs) if run.summary else run.progress,
        "Time": content.over(runs, "seconds", duration),
        "Space": None if space is None else space.name,
        "Scale": run.config.get("scale"),
        "Seed": content.seeds_of(runs),
    }


def _differing(rows: Sequence[dict[str, str | None]]) -> list[str]:
    """The settings in which the rows differ; the others stand with each run."""
    return [title for title in _SETTINGS if len({row[title] for row in rows} - {None}) > 1]


def _letter(index: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    return (_letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
