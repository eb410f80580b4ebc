"""A whole sweep: every point a complete search in its own run folder, carried out by a process of its own.

    runs/sweep/NAME/
        points/POINT/       the run folder of a search
        configs/POINT.yaml  what its process was given
        logs/POINT.txt      what its process said
        sweep.json  sweep.md

Nothing else is remembered: whether a point is finished is seen from its run folder. So the same sweep again goes on wherever
it was, however it ended.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
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
from adarts.sweeping.grid import Point, require_possible
from adarts.sweeping.pages import content, page, summary
from adarts.sweeping.results import PointResult, groups
from adarts.sweeping.slots import Job, Slots, usable_cores
from adarts.sweeping.watch import Watch

_PARTS = ("points", "configs", "logs")
_FILES = ("sweep.json", "sweep.md", "report.html", "stability.json", "stability.svg")  # three by other commands
_STOPPED = (143, -signal.SIGTERM)  # exit codes of a search that did as it was asked
_POLL_SECONDS = 0.1
_ORPHAN_SECONDS = 60.0  # that the searches of a sweep that was killed get to reach a checkpoint


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found, and where it lies.

    Attributes:
        folder: of the sweep.
        summary: what ``sweep.json`` holds.
    """

    folder: Path
    summary: dict[str, Any]


def run_sweep(points: Sequence[Point], slots: int = 1, sweep_dir: Path | None = None) -> SweepResult:
    """Carry out all points, or what is left of them.

    Args:
        points: the searches; :func:`adarts.sweeping.grid` makes them. ``run.threads`` is that of each search, by default as many
            as a slot has cores; ``run.time_limit`` is that of the whole sweep.
        slots: searches at once.
        sweep_dir: the folder; points that are finished there are left as they are, others are continued. None makes a new
            one in ``run.runs``.

    Raises:
        ConfigError: settings that cannot work together; nothing was started.
        DataError: images that cannot be used; nothing was started.
        CheckpointError: a folder that is damaged, locked or of another configuration.
        Stopped: a signal or the time limit ended the sweep, all searches at a checkpoint.
        AdartsError: points failed; all others are finished.
    """
    if not points or slots < 1:
        raise ConfigError(f"a sweep needs at least one point and one slot, not {len(points)} and {slots}")
    run = points[0].config.run
    with StopSignals(parse_time_limit(run.time_limit)) as signals:
        return _Sweep(points, slots, sweep_dir).carry_out(signals)


class _Sweep:
    def __init__(self, points: Sequence[Point], slots: int, sweep_dir: Path | None) -> None:
        run = points[0].config.run
        self.points, self.slots, self.named = points, slots, sweep_dir is not None
        self.threads = run.threads or max(1, len(usable_cores()) // slots)
        self.folder = sweep_dir or run.runs / "sweep" / f"{datetime.now():%Y%m%d-%H%M%S}"
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
            self.console.print(f"{len(self.rows)} points, {done} of them finished before; {self.slots} at a time")
            with signals.deferred():
                asked = self._run(waiting, signals)
                result = self._write()
                self._judge(asked)
            return result
        finally:
            lock.release()

    def _check(self) -> list[PointResult]:
        """Refuse what cannot work before anything is made or started; the rows that are left to do."""
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
        """The search as its own process carries it out."""
        changes = {"run_dir": row.folder, "resume": False, "threads": self.threads, "time_limit": None}
        config = row.point.config
        return config.model_copy(update={"run": config.run.model_copy(update=changes)})

    def _run(self, waiting: Sequence[PointResult], signals: StopSignals) -> Stopped | None:
        """Carry out the points; who asked to stop, if anyone did."""
        asked: Stopped | None = None
        with (
            Watch(self.rows, self.console) as watch,
            Slots([self._job(row) for row in waiting], self.slots, self.threads) as slots,
        ):
            while slots.busy:
                if asked is None and (asked := signals.asked()):
                    self.console.print(f"{asked}; waiting for the searches to reach a checkpoint")
                    slots.stop()
                for name in slots.fill():
                    watch.started(name)
                for ended in slots.ended():
                    if ended.code == 0:
                        watch.ended(ended.name, "finished")
                    else:
                        error = None if asked and ended.code in _STOPPED else ended.said
                        watch.ended(ended.name, "stopped" if asked else "failed", error, self._log(ended.name))
                time.sleep(_POLL_SECONDS)
        return asked

    def _job(self, row: PointResult) -> Job:
        config = self.folder / "configs" / f"{row.point.name}.yaml"
        write_atomically(config, to_yaml(self._config(row)).encode())
        command = [sys.executable, "-m", "adarts.cli", "search", "--config", str(config)]
        return Job(row.point.name, [*command, *code_options(row.point.config)], self._log(row.point.name))

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.txt"

    def _write(self) -> SweepResult:
        """Sum up, show and keep what there is by now."""
        for row in self.rows:
            if row.state == "finished":
                row.finish()
        found = groups(self.rows)
        facts = {"environment": self.environment, "slots": self.slots, "threads": self.threads}
        whole = content(self.rows, found, facts)
        write_atomically(self.folder / "sweep.json", to_json(whole))
        data, spaces, scales = (
            ", ".join(dict.fromkeys(getattr(point.config, name) for point in self.points))
            for name in ("data", "space", "scale")
        )
        title = f"Sweep on {data}, space {spaces}, scale {scales}"
        write_atomically(self.folder / "sweep.md", page(title, self.rows, found, facts).encode())
        self.console.print(f"\n{summary(found)}\n")
        return SweepResult(self.folder, whole)

    def _judge(self, asked: Stopped | None) -> None:
        """Raise what a caller must know: that it was stopped, or that points failed."""
        again = self.environment["command"]
        again = f"{again}{'' if self.named else f' --sweep-dir {self.folder}'}" if again else "the same call"
        number = sum(row.state == "finished" for row in self.rows)
        if asked is not None:
            done = f"{number} of {len(self.rows)} points finished"
            raise Stopped(f"{asked}, {done}, in {self.folder}; continue with: {again}", asked.exit_code)
        if failed := [row.point.name for row in self.rows if row.state == "failed"]:
            which = f"{', '.join(failed)} (logs in {self.folder / 'logs'})"
            raise AdartsError(f"{len(failed)} of {len(self.rows)} points failed: {which}; try them again with: {again}")


def _require_sweep_folder(folder: Path) -> None:
    """Refuse the folder of something else, and one that another sweep works on."""
    if not folder.is_dir():
        return
    inside = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    if inside - {*_PARTS, *_FILES}:
        raise CheckpointError(f"{folder} is not the folder of a sweep, and not empty; choose another --sweep-dir")
    require_free(folder)


def _wait_until_free(folder: Path, console: Console) -> None:
    """Wait for a search that lost its sweep and is on the way to a checkpoint; one that goes on is somebody else's."""
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
