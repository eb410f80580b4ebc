"""The files of an experiment: one offline page, tables as CSV and LaTeX, figures as SVG and PDF."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adarts.config.loading import value_at
from adarts.config.settings import SearchConfig
from adarts.engine import write_atomically
from adarts.engine.config_file import compared_settings, differing_keys
from adarts.engine.files import refuse
from adarts.experiments.reproducing.experiment import PAPER, Experiment, Results
from adarts.experiments.reproducing.runs import Config, Runs, digest
from adarts.report.cells import cell_svg
from adarts.report.charts import draw, scatter
from adarts.report.drawing import inline
from adarts.report.numbers import duration
from adarts.report.palette import DARK
from adarts.report.templates import ENVIRONMENT

PAGE = "report.html"
_FACTS = ("adarts", "git_commit", "torch", "python", "device", "cpu", "cores", "threads", "kernels", "os")


def write_results(experiment: Experiment, runs: Runs) -> Path:
    """Write everything that an experiment says into its folder; return the path of the page.

    Raises:
        CheckpointError: a file cannot be written, or a run is damaged.
    """
    folder = runs.folder / experiment.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(folder, error, 0)
    results = experiment.results(runs)
    for table in results.tables:
        table.write(folder)
    page = ENVIRONMENT.get_template("experiment.html").render(
        title=experiment.title,
        experiment=experiment,
        paper=PAPER,
        budget=experiment.plan.budget,
        results=results,
        drawings=_figures(results, folder) + _scatters(results, folder),
        cells=_cells(results, folder),
        **_behind(experiment, runs),
        dark=DARK,
    )
    write_atomically(folder / PAGE, page.encode(errors="replace"))
    return folder / PAGE


def _figures(results: Results, folder: Path) -> list[tuple[Any, str]]:
    drawn = []
    for figure in results.figures:
        how: dict[str, Any] = {"size": (520, 240)} if len(figure.charts) == 1 else {"columns": 2, "size": (430, 220)}
        if not any(chart.values for chart in figure.charts):
            continue
        drawing = draw(figure.charts, heading=figure.heading, **how)
        drawn.append((inline(drawing.write(folder, figure.name)), figure.caption))
    return drawn


def _scatters(results: Results, folder: Path) -> list[tuple[Any, str]]:
    drawn = []
    for plot in results.scatters:
        drawing = scatter(plot.title, plot.x_title, plot.y_title, plot.dots)
        drawn.append((inline(drawing.write(folder, plot.name)), plot.caption))
    return drawn


def _cells(results: Results, folder: Path) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Drawings of cells, for the page and as SVG files."""
    groups = []
    for cells in results.cells:
        drawings = []
        for kind in cells.kinds:
            svg = cell_svg(cells.genotype, kind)
            write_atomically(folder / f"{cells.name}-{kind}.svg", svg.encode())
            drawings.append((kind, inline(svg)))
        groups.append((cells.title, drawings))
    return groups


def _behind(experiment: Experiment, runs: Runs) -> dict[str, Any]:
    """The runs behind an experiment, their recipes, and where they were made."""
    searches: Sequence[Config] = experiment.searches()
    configs = {runs.place(config): config for config in [*searches, *experiment.trainings(runs.cells)]}
    rows = []
    recipes: dict[str, tuple[str, str]] = {}
    machines: dict[tuple[tuple[str, str], ...], int] = {}
    for place, config in configs.items():
        found = runs.record(config)
        link = os.path.relpath(place / PAGE, runs.folder / experiment.name)
        rows.append(
            (place.name, link if found else None, config.seed, _settings(experiment, config), *_said(config, runs))
        )
        if found is not None:
            kind = "search" if isinstance(config, SearchConfig) else "training"
            key = f"{kind} {re.sub('-seed[0-9]+$', '', place.name)}"
            without = digest(config, "genotype")
            recipes.setdefault(without, (key, _without_place(found.config_text)))
            facts = tuple((name, str(found.environment.get(name))) for name in _FACTS)
            machines[facts] = machines.get(facts, 0) + 1
    return {"runs": rows, "recipes": list(recipes.values()), "machines": list(machines.items())}


def _settings(experiment: Experiment, config: Config) -> str:
    """What distinguishes a run: settings that its method or cells do not have in most experiments."""
    if isinstance(config, SearchConfig):
        usual: Config = experiment.plan.search(config.method, config.seed)
    elif config.network.name is not None:
        usual = experiment.plan.training(f"network:{config.network.name}", config.seed)
    else:
        usual = experiment.plan.training(str(config.genotype), config.seed)
    own, other = compared_settings(config), compared_settings(usual)
    return ", ".join(f"{name} {value_at(own, name)}" for name in differing_keys(other, own))


def _said(config: Config, runs: Runs) -> tuple[str, str]:
    """Result and time of a run."""
    if runs.record(config) is None:
        return "not measured", ""
    seconds = duration(runs.seconds(config) or 0)
    if not isinstance(config, SearchConfig):
        return f"{runs.accuracy(config):.2f} % test accuracy", seconds
    estimate, cells = runs.estimate(config), runs.cells(config)
    known = "no estimate" if estimate is None else f"estimate {estimate:.2f} %"
    skips = "" if cells is None else f", skips in the normal cell: {cells.num_operations('normal', 'skip_connect')}"
    return f"{known}{skips}", seconds


def _without_place(text: str) -> str:
    """A configuration without the paths of this machine."""
    return re.sub(r"^ +(run_dir|runs|root): .*\n", "", text, flags=re.MULTILINE)
