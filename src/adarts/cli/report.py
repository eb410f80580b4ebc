"""``adarts report``: write an offline HTML report of runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, get_args

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.errors import CheckpointError, ConfigError


@dataclass(frozen=True, config=FORM)
class Report:
    """Write an offline HTML report of runs: cells, curves, costs, data, configuration, environment. For a sweep also files for a
    paper: tables as CSV and LaTeX, curves as SVG and PDF.
    """

    runs: Annotated[tuple[str, ...], Positional("RUN...")] = ()
    """Search runs, training runs, sweeps, and folders that hold runs: folders, names, or latest for the newest one. Runs that
    differ in the seed alone are summarized."""


def run(words: list[str]) -> int:
    """Run ``adarts report``."""
    form = parse(Report, words, "adarts report")
    if not form.runs:
        raise ConfigError("adarts report needs one or more runs or sweeps: folders, names, or latest")
    from adarts.report import write_report

    folders = [_find(reference) for reference in form.runs]
    page = write_report(folders)
    for folder in folders:
        if (folder / "sweep.json").exists():
            from adarts.sweeping.paper import write_paper

            print(write_paper(folder))
    print(page)
    return 0


def _find(reference: str) -> Path:
    """The folder of a run, or one that holds runs; if a search and a training match, as for ``latest``, the newer one."""
    from adarts.engine import Kind, RunFolder
    from adarts.engine.run_dirs import list_run_dirs

    for folder in (Path(reference), Path("runs", "sweep", reference)):
        if (folder / "points").is_dir() or list_run_dirs(folder):
            return folder
    found = []
    for kind in get_args(Kind):
        with suppress(CheckpointError):
            found.append(RunFolder.find(reference, kind))
    if not found:
        raise CheckpointError(f"no run or sweep at {reference}, nor under runs/search, runs/train or runs/sweep")
    return max(found, key=lambda path: (path / "config.yaml").stat().st_mtime_ns)
