"""One trial of a study, in a process of its own: a search that reports to the study after every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adarts.engine import Metrics, StopSignals
from adarts.errors import NotFiniteError
from adarts.methods import create
from adarts.searching import run_search, search_config
from adarts.searching.phases import checked_phases
from adarts.tuning.objective import value_of
from adarts.tuning.study import Study, name_of

PRUNED = "pruned: the study expects too little of it"
"""The reason in the summary of a search that its study ended."""


def run_trial(folder: Path, number: int, code: Mapping[str, str]) -> None:
    """Run a trial, or continue it, and tell the study how it ended.

    Args:
        folder: folder of the study.
        number: number of the trial.
        code: the settings that name the user's own code.

    Raises:
        AdartsError: as :func:`adarts.searching.run_search`, except for a loss that is not finite: that is a result.
    """
    study = Study(folder)
    if not study.is_open(number):
        return
    objective = study.plan["settings"]["objective"]
    config = search_config(folder / "configs" / f"{name_of(number)}.yaml", **code)
    all_epochs = sum(phase.epochs for phase in checked_phases(config, create(config)))

    def watch(record: Mapping[str, Any]) -> str | None:
        done = record["epoch"] + 1
        ends = study.report(number, done, value_of(objective, config, record), may_prune=done < all_epochs)
        return PRUNED if ends else None

    try:
        result = run_search(config, watch=watch)
    except NotFiniteError as error:
        with StopSignals() as signals, signals.deferred():
            study.end_diverged(number, str(error))
        return
    with StopSignals() as signals, signals.deferred():
        if result.summary["stopped"] == PRUNED:
            study.end_pruned(number)
        else:
            last = Metrics(result.run_dir / "metrics.jsonl").read()[-1]
            study.finish(number, value_of(objective, config, last))
