"""Run searches or trainings as jobs of an executor, and submit those again that were interrupted or lost."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from adarts.config.cluster import Engine
from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig, TrainConfig
from adarts.engine import Kind, RunFolder, StopSignals, prepare_device, write_atomically
from adarts.engine.config_file import CONFIG_FILE
from adarts.engine.lock import require_free
from adarts.engine.run_dirs import SUMMARY, require_same_config, require_usable
from adarts.errors import CheckpointError, Stopped
from adarts.launch import INTERRUPTED
from adarts.sweeping.executors import Ended, Event, Executor, Job, Queued, Started
from adarts.sweeping.results import PointResult, State
from adarts.sweeping.shared_drive import SharedDrive
from adarts.sweeping.watch import Watch
from adarts.tracking import require_installed

Then = Callable[[Ended], Sequence[PointResult[Any]]]
"""What to run next, now that a run is finished or has failed."""

_MOST_LOST = 3  # times that a run is submitted again after it was killed or its node was lost
_POLL_SECONDS = 0.1
_ORPHAN_SECONDS = 60.0  # time for searches of a killed sweep to reach a checkpoint


class Runner:
    """Runs searches or trainings of a sweep.

    Args:
        engine: where they run.
        executor: its executor.
        folder: folder of the sweep.
        console: for what is said meanwhile.

    Attributes:
        device: the device of the runs on this machine; the CPU if they choose it on their node.
    """

    def __init__(self, engine: Engine, executor: Executor, folder: Path, console: Console) -> None:
        self.engine, self.executor, self.folder, self.console = engine, executor, folder, console
        self.device = torch.device("cpu")
        self._kept: list[Event] = []  # of trainings, while the searches are not finished

    def unfinished(self, rows: Sequence[PointResult[Any]]) -> list[PointResult[Any]]:
        """The runs that are not finished, after a check of all folders; nothing is created.

        Raises:
            ConfigError: the device does not exist on this machine.
            CheckpointError: a folder is in use by somebody else, or belongs to another configuration.
        """
        alive = self.executor.alive()
        for row in rows:
            self._check(row, row.point.name in alive)
            if (row.folder / SUMMARY).exists():
                row.state = "finished"
                row.look()
        return [row for row in rows if row.state != "finished"]

    def run(
        self,
        rows: Sequence[PointResult[Any]],
        signals: StopSignals,
        begun: Callable[[], object],
        then: Then = lambda ended: (),
    ) -> Stopped | None:
        """Run what is unfinished; return the request to stop, if there was one.

        Args:
            rows: the runs, checked before by :meth:`unfinished`.
            signals: requests to stop.
            begun: called when all are submitted.
            then: called when one of them is finished or has failed; what it returns is run, too.
        """
        jobs = {row.point.name: self._job(row) for row in rows if row.state != "finished"}
        before = self.executor.alive() & jobs.keys()
        self.executor.submit([job for name, job in jobs.items() if name not in before])
        begun()
        if self.engine.detach or not jobs:
            return None
        if before:
            self.console.print(f"attached to {len(before)} jobs that an earlier process submitted")
        return self._follow(list(rows), jobs, signals, then)

    def _follow(
        self, rows: list[PointResult[Any]], jobs: dict[str, Job], signals: StopSignals, then: Then
    ) -> Stopped | None:
        asked: Stopped | None = None
        executor, lost, drive = self.executor, Counter[str](), SharedDrive()
        with Watch(rows, self.console) as watch:
            while executor.alive() & jobs.keys():
                if asked is None and (asked := signals.asked()):
                    self.console.print(f"{asked}; waiting for the searches to reach a checkpoint")
                    executor.stop()
                if self.engine.on != "local" and not drive.known:
                    self._require_locks(rows, drive)
                events, self._kept = [*self._kept, *executor.poll()], []
                for event in events:
                    if event.name not in jobs:
                        self._kept.append(event)
                    elif isinstance(event, Started):
                        watch.started(event.name, event.where)
                    elif isinstance(event, Queued):
                        watch.again(event.name, event.words)
                    elif asked is None and goes_on(event, lost):
                        watch.again(event.name, event.words)
                        executor.submit([jobs[event.name]])
                    else:
                        error = None if event.code == 0 or (asked and event.code in INTERRUPTED) else event.words
                        state: State = "finished" if event.code == 0 else "stopped" if asked else "failed"
                        watch.ended(event.name, state, error, jobs[event.name].log)
                        if asked is None and (more := self.unfinished(then(event))):
                            jobs |= {row.point.name: self._job(row) for row in more}
                            rows += more
                            watch.add(more)
                            executor.submit([jobs[row.point.name] for row in more])
                time.sleep(executor.pause)
        return asked

    def _require_locks(self, rows: Sequence[PointResult[Any]], drive: SharedDrive) -> None:
        try:
            for row in [row for row in rows if row.state == "running"][:1]:
                drive.look(row.folder)
        except CheckpointError:
            self.executor.stop()
            raise

    def _check(self, row: PointResult[Any], runs: bool) -> None:
        """Refuse a run folder of another configuration, or one that is in use by somebody else."""
        config = self._config(row)
        if runs:
            if (row.folder / CONFIG_FILE).exists():
                require_same_config(row.folder, config)
            return
        _wait_until_free(row.folder, self.console)
        if self.engine.on == "local":
            for device in self.engine.devices:
                prepare_device(config.run.model_copy(update={"device": device}))
            self.device = RunFolder.check(_kind(config), config)
        else:  # the device is chosen on the node
            require_installed(config.run.track)
            require_usable(_kind(config), config)

    def _config(self, row: PointResult[Any]) -> SearchConfig | TrainConfig:
        """The configuration for the process of a run."""
        config: SearchConfig | TrainConfig = row.point.config
        threads = max(1, self.executor.threads // config.run.processes)
        changes = {"run_dir": row.folder, "resume": False, "threads": threads, "time_limit": None}
        return config.model_copy(update={"run": config.run.model_copy(update=changes)})

    def _job(self, row: PointResult[Any]) -> Job:
        name, config = row.point.name, self._config(row)
        file = self.folder / "configs" / f"{name}.yaml"
        write_atomically(file, to_yaml(config).encode())
        command = [sys.executable, "-m", "adarts", _kind(config), "--config", str(file), *row.point.code]
        return Job(name, command, self.folder / "logs" / f"{name}.txt", row.folder)


def goes_on(event: Ended, lost: Counter[str]) -> bool:
    """Whether a run is submitted again: always if something asked it to stop, three times if it was lost; `lost` counts."""
    if event.code is not None:
        return event.code in INTERRUPTED
    lost[event.name] += 1
    return lost[event.name] <= _MOST_LOST


def _kind(config: SearchConfig | TrainConfig) -> Kind:
    return "search" if isinstance(config, SearchConfig) else "train"


def _wait_until_free(folder: Path, console: Console) -> None:
    """Wait for a run of a killed sweep to reach its checkpoint; raise if the folder stays in use."""
    end, told = time.monotonic() + _ORPHAN_SECONDS, False
    while True:
        try:
            return require_free(folder)
        except CheckpointError:
            if time.monotonic() > end:
                raise
        if not told:
            console.print(f"waiting for the run in {folder} to stop")
        told = True
        time.sleep(_POLL_SECONDS)
