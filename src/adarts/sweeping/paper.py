"""Files of a sweep for a paper: its tables as CSV and LaTeX, its curves as SVG and PDF."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adarts.report.charts import draw
from adarts.report.curves import charts_in_common
from adarts.report.numbers import Spread, shown
from adarts.report.reading import RunRecord, read_run
from adarts.report.tables import Cell, Column, Origin, Table
from adarts.sweeping.pages import CONSTANT, heading, read_content

FOLDER = "paper"
_COUNTED = ("parameters", "skips.", "weight_free.")


def write_paper(sweep_dir: Path) -> Path:
    """Write the tables and figures of a sweep into its folder ``paper``, and return that folder.

    A curve is the mean over the finished seeds of a configuration, within a band from the lowest to the highest value.

    Raises:
        CheckpointError: ``sweep.json`` or a run is missing or damaged, or another version wrote it.
    """
    content = read_content(sweep_dir)
    folder = sweep_dir / FOLDER
    folder.mkdir(exist_ok=True)
    for table in (
        _table("searches", "Searches", content["groups"], []),
        _table("networks", "Trained networks", content["networks"], content["largest_class"]),
    ):
        if table.rows:
            table.write(folder)
    for kind, points in (("search", content["points"]), ("train", content["trainings"])):
        runs: dict[str, list[RunRecord]] = {}
        for point in points:
            if point["state"] == "finished":
                runs.setdefault(_label(point["settings"]), []).append(read_run(sweep_dir / point["folder"]))
        for chart in charts_in_common(list(runs.items())):
            name = re.sub(r"[^a-z0-9]+", "-", f"{kind} {chart.title}".lower()).strip("-")
            draw([chart]).write(folder, name)
    return folder


def _table(name: str, title: str, groups: Sequence[Mapping[str, Any]], shares: Sequence[float]) -> Table:
    """One row for each configuration, and for each accuracy of always answering the largest class."""
    settings = list(dict.fromkeys(name for group in groups for name in group["settings"]))
    figures = list(dict.fromkeys(name for group in groups for name in group["figures"]))
    columns = [*map(Column, settings), *map(_column, figures)]
    rows: list[list[Cell]] = [
        [
            *(shown(group["settings"].get(name, "")) for name in settings),
            *(_spread(name, group["figures"].get(name)) for name in figures),
        ]
        for group in groups
    ]
    for share in shares if rows else ():
        cells = [f"{100 * share:.2f}" if name == "test_accuracy" else None for name in figures]
        rows.append([CONSTANT, *[""] * (len(settings) - 1), *cells])
    return Table(name, title, columns, rows, "Mean and sample standard deviation over n seeds, after the last epoch.")


def _column(name: str) -> Column:
    origin: Origin = "counted" if name.startswith(_COUNTED) else "estimated" if "estimated" in name else "measured"
    unit = " (%)" if name.endswith("_accuracy") else " (s)" if name == "seconds" else ""
    digits = 0 if name == "parameters" else 1 if name == "seconds" else 2
    return Column(heading(name).removeprefix("estimated ") + unit, origin, digits, spread=True)


def _spread(name: str, record: Mapping[str, Any] | None) -> Spread | None:
    if record is None:
        return None
    spread, scale = Spread(**record), 100 if name.endswith("_accuracy") else 1
    return Spread(spread.n, scale * spread.mean, None if spread.sd is None else scale * spread.sd)


def _label(settings: Mapping[str, Any]) -> str:
    """A configuration in words: the method, and the other varied settings except the seed."""
    others = [f"{name}={shown(value)}" for name, value in settings.items() if name not in ("method", "seed")]
    return ", ".join([settings["method"], *others])
