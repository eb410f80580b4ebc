"""Many runs of several searchers on a table, with a run folder.

    runs/explore/NAME/
        runs.jsonl    what was explored, then one record a run
        explore.json  the settings, the table, and the curves
        report.html

There is no other state: a run with a record is finished. So the same exploration can be continued however it ended, and get more
runs or searchers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, FiniteFloat, PositiveInt

from adarts.engine import Metrics, StopSignals, environment
from adarts.engine.config_file import differing_keys
from adarts.engine.files import refuse
from adarts.engine.lock import Lock
from adarts.errors import CheckpointError, Stopped, refusing
from adarts.exploring.page import write_results
from adarts.exploring.setup import Exploration, Outcome, Record

_FILES = ("runs.jsonl", "explore.json", "report.html")


def run_exploration(
    setup: Exploration,
    run_dir: Path | None = None,
    track: Callable[[Sequence[tuple[str, int]]], Iterable[tuple[str, int]]] = iter,
) -> Outcome:
    """Carry out the runs that are not finished yet, and write the results.

    Args:
        setup: what to explore.
        run_dir: folder of the results; finished runs in it are kept. None makes a new one in ``runs/explore``.
        track: shows the progress over the runs that are left.

    Raises:
        CheckpointError: the folder is damaged, in use, or belongs to another exploration.
        Stopped: a signal ended it after a run.
    """
    folder = run_dir or Path("runs", "explore", f"{datetime.now():%Y%m%d-%H%M%S}")
    facts = environment(torch.device("cpu"))
    again = f"{facts['command'] or 'the same call'}{'' if run_dir else f' --run-dir {folder}'}"
    with StopSignals() as signals:
        prepare(folder, _FILES)
        lock = Lock(folder)
        try:
            file = Metrics(folder / "runs.jsonl")
            known = _known(file, setup)
            left = [(name, run) for run in range(setup.runs) for name in setup.searchers if (name, run) not in known]
            with signals.deferred():
                for name, run in track(left):
                    known[name, run] = setup.run(name, run)
                    file.append(known[name, run])
                    if asked := signals.asked():
                        done = f"{len(known)} runs finished"
                        raise Stopped(f"{asked}, {done}, in {folder}; continue with: {again}", asked.exit_code)
            records = {name: [known[name, run] for run in range(setup.runs)] for name in setup.searchers}
            outcome = Outcome(folder, setup, records, setup.exact())
            write_results(outcome, facts)
            return outcome
        finally:
            lock.release()


def prepare(folder: Path, files: Collection[str]) -> None:
    """Create the folder of an exploration; refuse one that holds something else than these files.

    Raises:
        CheckpointError: it holds something else, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inside = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    except OSError as error:
        refuse(folder, error, 0)
    if inside - {*files}:
        raise CheckpointError(f"{folder} is neither empty nor the folder of an exploration; choose another --run-dir")


def kept(file: Metrics, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records in a file, which begins with the settings; a new file gets these.

    Raises:
        CheckpointError: the file is damaged, or of another exploration.
    """
    file.truncate(len(file))  # an incomplete last line would be continued
    lines = file.read()
    if not lines:
        file.append(settings)
        return []
    if keys := differing_keys(lines[0], settings):
        raise CheckpointError(f"{file.path} is of another exploration: {', '.join(keys)[:500]} differ")
    return lines[1:]


def _known(file: Metrics, setup: Exploration) -> dict[tuple[str, int], Record]:
    """The finished runs in a file."""
    records = kept(file, setup.settings())
    with refusing(f"{file.path} is damaged", CheckpointError):
        for record in records:
            if len(_Kept.model_validate(record).curve) != len(setup.amounts):
                raise ValueError(f"a curve has {len(record['curve'])} values, not {len(setup.amounts)}")
    return {(record["searcher"], record["run"]): record for record in records}


class _Kept(BaseModel):
    """A :data:`Record` as it is read."""

    model_config = ConfigDict(strict=True)

    searcher: str
    run: int
    evaluations: PositiveInt
    accuracy: FiniteFloat
    hypervolume: FiniteFloat
    found: str
    beyond: str | None
    curve: list[FiniteFloat]
