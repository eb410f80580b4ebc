"""Run a sweep: every point is a complete search with its own process and run folder.

    runs/sweep/NAME/
        points/POINT/       run folder of a search
        configs/POINT.yaml  configuration of its process
        logs/POINT.txt      output of its process
        sweep.json  sweep.md

There is no other state: the run folder of a point shows whether it is finished. So the same sweep can be continued however it
ended.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig, code_options
from adarts.engine import RunFolder, StopSignals, environment, parse_time_limit, write_atomically
from adarts.engine.files import refuse, to_json
from adarts.engine.lock import Lock, require_free
from adarts.errors import AdartsError, CheckpointError, ConfigError, Stopped
from adarts.sweeping.executors import INTERRUPTED, Ended, Executor, Job, Queued, Started
from adarts.sweeping.executors.local import LocalExecutor
from adarts.sweeping.pages import content, page, summary
from adarts.sweeping.points import Point, require_possible
from adarts.sweeping.results import PointResult, groups
from adarts.sweeping.watch import Watch
from adarts.truth.judge import find_judge

_PARTS = ("points", "configs", "logs")
_FILES = (
    "sweep.json",
    "sweep.md",
    "report.html",
    "stability.json",
    "stability.svg",
)  # the last three by other commands
_MOST_LOST = 3  # times that a search is submitted again after it was killed or its node was lost
_POLL_SECONDS = 0.1
_ORPHAN_SECONDS = 60.0  # time for searches of a killed sweep to reach a checkpoint


@dataclass(frozen=True)
class SweepResult:
    """Result of a sweep.

    Attributes:
        folder: folder of the sweep.
        summary: content of ``sweep.json``.
    """

    folder: Path
    summary: dict[str, Any]


def run_sweep(points: Sequence[Point], slots: int = 1, sweep_dir: Path | None = None) -> SweepResult:
    """Run all points that are not finished yet.

    Args:
        points: the searches, from :func:`adarts.sweeping.grid`. ``run.threads`` applies to each search (default: the number of
            cores of its slot), ``run.time_limit`` to the whole sweep.
        slots: searches to run at once.
        sweep_dir: folder of the sweep; finished points in it are kept, others are continued. None makes a new one in
            ``run.runs``.

    Raises:
        ConfigError: settings do not fit together; nothing was started.
        DataError: images are unusable; nothing was started.
        CheckpointError: a folder is damaged, locked, or belongs to another configuration.
        Stopped: a signal or the time limit ended the sweep; all searches are at a checkpoint.
        AdartsError: points failed; all others are finished.
    """
    if not points or slots < 1:
        raise ConfigError(f"a sweep needs at least one point and one slot, not {len(points)} and {slots}")
    run = points[0].config.run
    with StopSignals(parse_time_limit(run.time_limit)) as signals:
        return _Sweep(points, LocalExecutor(slots, run.threads), sweep_dir).carry_out(signals)


class _Sweep:
    def __init__(self, points: Sequence[Point], executor: Executor, sweep_dir: Path | None) -> None:
        self.points, self.executor, self.named = points, executor, sweep_dir is not None
        self.folder = sweep_dir or points[0].config.run.runs / "sweep" / f"{datetime.now():%Y%m%d-%H%M%S}"
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.rows = [PointResult(point, self.folder / "points" / point.name) for point in points]

    def carry_out(self, signals: StopSignals) -> SweepResult:
        waiting = self._check()
        try:
            for part in _PARTS:
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            refuse(self.folder, error, 0)
        lock = Lock(self.folder)
        try:
            self.environment = environment(self.device, self.points[0].config.run.precision)
            done = len(self.rows) - len(waiting)
            self.console.print(f"sweep folder: {self.folder}")
            self.console.print(
                f"{len(self.rows)} points, {done} already finished; running {self.executor.places} at once"
            )
            with signals.deferred():
                asked = self._run(waiting, signals)
                result = self._write()
                self._judge(asked)
            return result
        finally:
            lock.release()

    def _check(self) -> list[PointResult]:
        """Check all points before anything is created or started; return the unfinished ones."""
        _require_sweep_folder(self.folder)
        waiting = []
        for row in self.rows:
            _wait_until_free(row.folder, self.console)
            self.device = RunFolder.check("search", self._config(row))
            if (row.folder / "summary.json").exists():
                row.state = "finished"
                row.look()
            else:
                waiting.append(row)
        require_possible([row.point for row in waiting])
        return waiting

    def _config(self, row: PointResult) -> SearchConfig:
        """The configuration for the process of a point."""
        changes = {"run_dir": row.folder, "resume": False, "threads": self.executor.threads, "time_limit": None}
        config = row.point.config
        return config.model_copy(update={"run": config.run.model_copy(update=changes)})

    def _run(self, waiting: Sequence[PointResult], signals: StopSignals) -> Stopped | None:
        """Run the points; return the request to stop, if there was one."""
        asked: Stopped | None = None
        jobs = {row.point.name: self._job(row) for row in waiting}
        lost: Counter[str] = Counter()
        with Watch(self.rows, self.console) as watch, closing(self.executor) as executor:
            executor.submit(list(jobs.values()))
            while executor.alive():
                if asked is None and (asked := signals.asked()):
                    self.console.print(f"{asked}; waiting for the searches to reach a checkpoint")
                    executor.stop()
                for event in executor.poll():
                    if isinstance(event, Started):
                        watch.started(event.name, event.where)
                    elif isinstance(event, Queued):
                        watch.again(event.name, event.words)
                    elif asked is None and _goes_on(event, lost):
                        watch.again(event.name, event.words)
                        executor.submit([jobs[event.name]])
                    elif event.code == 0:
                        watch.ended(event.name, "finished")
                    else:
                        error = None if asked and event.code in INTERRUPTED else event.words
                        watch.ended(event.name, "stopped" if asked else "failed", error, self._log(event.name))
                time.sleep(executor.pause)
        return asked

    def _job(self, row: PointResult) -> Job:
        config = self.folder / "configs" / f"{row.point.name}.yaml"
        write_atomically(config, to_yaml(self._config(row)).encode())
        command = [sys.executable, "-m", "adarts.cli", "search", "--config", str(config)]
        return Job(row.point.name, [*command, *code_options(row.point.config)], self._log(row.point.name))

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.txt"

    def _write(self) -> SweepResult:
        """Summarize, print and write the results so far."""
        for row in self.rows:
            if row.state == "finished":
                row.finish()
        found = groups(self.rows)
        facts = {"environment": self.environment, "slots": self.executor.places, "threads": self.executor.threads}
        searched = dict.fromkeys(row.point.config.space for row in self.rows if row.state == "finished")
        floors = {space: judge.floors() for space in searched if (judge := find_judge(space))}
        whole = content(self.rows, found, facts, floors)
        write_atomically(self.folder / "sweep.json", to_json(whole))
        data, spaces, scales = (
            ", ".join(dict.fromkeys(getattr(point.config, name) for point in self.points))
            for name in ("data", "space", "scale")
        )
        title = f"Sweep on {data}, space {spaces}, scale {scales}"
        write_atomically(self.folder / "sweep.md", page(title, self.rows, found, facts, floors).encode())
        self.console.print(f"\n{summary(found)}\n")
        return SweepResult(self.folder, whole)

    def _judge(self, asked: Stopped | None) -> None:
        """Raise an error if the sweep was stopped or points failed."""
        again = self.environment["command"]
        again = f"{again}{'' if self.named else f' --sweep-dir {self.folder}'}" if again else "the same call"
        number = sum(row.state == "finished" for row in self.rows)
        if asked is not None:
            done = f"{number} of {len(self.rows)} points finished"
            raise Stopped(f"{asked}, {done}, in {self.folder}; continue with: {again}", asked.exit_code)
        if failed := [row.point.name for row in self.rows if row.state == "failed"]:
            which = f"{', '.join(failed)} (logs in {self.folder / 'logs'})"
            raise AdartsError(f"{len(failed)} of {len(self.rows)} points failed: {which}; retry them with: {again}")


def _goes_on(event: Ended, lost: Counter[str]) -> bool:
    """Whether a search is submitted again: always if something asked it to stop, three times if it was lost; `lost` counts."""
    if event.code is not None:
        return event.code in INTERRUPTED
    lost[event.name] += 1
    return lost[event.name] <= _MOST_LOST


def _require_sweep_folder(folder: Path) -> None:
    """Refuse a folder that is not a sweep's, or that another sweep is using."""
    if not folder.is_dir():
        return
    inside = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    if inside - {*_PARTS, *_FILES}:
        raise CheckpointError(f"{folder} is neither empty nor the folder of a sweep; choose another --sweep-dir")
    require_free(folder)


def _wait_until_free(folder: Path, console: Console) -> None:
    """Wait for a search of a killed sweep to reach its checkpoint; raise if the folder stays in use."""
    end, told = time.monotonic() + _ORPHAN_SECONDS, False
    while True:
        try:
            return require_free(folder)
        except CheckpointError:
            if time.monotonic() > end:
                raise
        if not told:
            console.print(f"waiting for the search in {folder} to stop")
        told = True
        time.sleep(_POLL_SECONDS)
