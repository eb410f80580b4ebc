"""Reproduce experiments: say the cost, carry out the runs, write what they say."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from adarts.config.cluster import Engine
from adarts.config.settings import SearchConfig, TrainConfig
from adarts.engine import parse_time_limit
from adarts.engine.files import refuse
from adarts.engine.lock import Lock
from adarts.errors import AdartsError, ConfigError, Stopped, nearest
from adarts.experiments.reproducing.budgets import Plan
from adarts.experiments.reproducing.cost import Forecast
from adarts.experiments.reproducing.experiment import Experiment
from adarts.experiments.reproducing.fig1 import Fig1
from adarts.experiments.reproducing.fig8 import Fig8
from adarts.experiments.reproducing.fig9 import Fig9
from adarts.experiments.reproducing.fig10 import Fig10
from adarts.experiments.reproducing.page import write_results
from adarts.experiments.reproducing.runs import Runs, digest
from adarts.experiments.reproducing.table1 import Table1
from adarts.experiments.reproducing.table2 import Table2
from adarts.experiments.reproducing.table3 import Table3
from adarts.experiments.reproducing.work import Work
from adarts.spaces import Genotype

EXPERIMENTS: dict[str, type[Experiment]] = {
    experiment.name: experiment for experiment in (Table1, Table2, Table3, Fig1, Fig8, Fig9, Fig10)
}
"""The experiments by name."""

ALL = "all"


def reproduce(
    name: str,
    plan: Plan,
    folder: Path,
    engine: Engine | None = None,
    time_limit: str | None = None,
    forecast: bool = False,
    command: Sequence[str] = ("the same call",),
) -> list[Path]:
    """Carry out an experiment, or all of them, and write its page, tables and figures.

    Args:
        name: an experiment, or `all`.
        plan: budget, device, threads, images, seeds.
        folder: folder of the runs; finished runs in it are kept, others are continued.
        engine: where the runs are; by default one after the other in this process.
        time_limit: limit for everything, such as ``2h``.
        forecast: only say what it would cost.
        command: the command that continues a reproduction.

    Returns:
        The pages.

    Raises:
        ConfigError: there is no such experiment, or the engine has an option that is of no use.
        DataError: images are missing; nothing was started.
        Stopped: a signal or the time limit ended it. The pages show what was finished.
        AdartsError: runs failed; all others are finished.
    """
    if name not in (*EXPERIMENTS, ALL):
        known = (*EXPERIMENTS, ALL)
        raise ConfigError(f"unknown experiment '{name[:40]}'{nearest(name, known)}; known are {', '.join(known)}")
    experiments = [kind(plan) for key, kind in EXPERIMENTS.items() if name in (key, ALL)]
    searches = [search for experiment in experiments for search in experiment.searches()]
    steps = [step for experiment in experiments for step in experiment.steps()]
    runs, engine = Runs(folder), engine or Engine()
    work = Work(runs, engine, plan.run.threads, parse_time_limit(time_limit))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(folder, error, 0)
    lock = Lock(folder)
    try:
        is_timed = work.here and (forecast or plan.budget.is_timed)
        cost = Forecast(runs, is_timed).cost([*searches, *_expected(experiments, runs)], steps)
        words = cost.words(engine.slots or 1)
        print(f"{name} at scale {plan.budget.scale} ({plan.budget.purpose}) in {folder}\n{words}", flush=True)
        if forecast:
            return []
        stopped: Stopped | None = None
        try:
            work.carry_out(searches)
            work.measure(steps)
            work.carry_out([training for each in experiments for training in each.trainings(runs.cells)])
        except Stopped as asked:
            stopped = asked
        pages = [write_results(experiment, runs) for experiment in experiments]
        for page in pages:
            print(page)
        again = shlex.join(command)
        if stopped is not None:
            raise Stopped(f"{stopped}; continue with: {again}", stopped.exit_code)
        if work.failed:
            names = ", ".join(work.failed)
            raise AdartsError(
                f"{len(work.failed)} runs failed: {names} (logs in {folder / 'logs'}); retry with: {again}"
            )
        return pages
    finally:
        lock.release()


def _expected(experiments: Sequence[Experiment], runs: Runs) -> list[TrainConfig]:
    """The trainings to expect; random cells stand in for cells that are not found yet."""

    def found(search: SearchConfig) -> Genotype | str:
        return runs.cells(search) or f"random:darts:{int(digest(search), 16) + search.seed}"

    return [training for experiment in experiments for training in experiment.trainings(found)]
