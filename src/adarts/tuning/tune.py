"""Work on a study: run trials until it has as many as asked, beside any other process that works on it."""

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

from adarts.config.loading import to_yaml
from adarts.data import load_images
from adarts.engine import StopSignals, parse_time_limit, prepare_device, write_atomically
from adarts.engine.files import refuse
from adarts.engine.progress import plain_console
from adarts.errors import AdartsError, CheckpointError, ConfigError, Stopped
from adarts.launch import INTERRUPTED
from adarts.report.numbers import shown
from adarts.sweeping.executors import Ended, Job, Started
from adarts.sweeping.executors.local import LocalExecutor
from adarts.sweeping.points import Point, require_possible
from adarts.sweeping.runner import goes_on
from adarts.tracking import require_installed
from adarts.tuning.pages import figure, write_results
from adarts.tuning.parameters import Assignment
from adarts.tuning.plan import Plan
from adarts.tuning.study import PAGE, PARTS, PLAN, TABLE, State, Study, best_of, name_of
from adarts.tuning.workers import Worker

_PAUSE = 1.0  # seconds between two looks for a trial, if there was none
_HOPELESS = 3  # failed trials of a process without any other, after which it starts no more


@dataclass(frozen=True)
class StudyResult:
    """Result of a study.

    Attributes:
        folder: folder of the study.
        summary: content of ``tune.json``.
        error: what to say if trials failed.
    """

    folder: Path
    summary: dict[str, Any]
    error: AdartsError | None


def run_study(
    plan: Plan,
    trials: int,
    slots: int | None = None,
    devices: Sequence[str] = (),
    study_dir: Path | None = None,
) -> StudyResult:
    """Run trials until the study has as many as asked, and all of them have ended.

    Other processes may work on the same study, on this machine or on another one with the same files. This one returns when the
    study is done, whoever ran the trials.

    Args:
        plan: what is tuned.
        trials: number of trials of the study.
        slots: trials that this process runs at once; None for one for each device.
        devices: devices of this machine; each slot takes one, in turn.
        study_dir: folder of the study; a study in it is continued. None makes a new one in ``run.runs``.

    Raises:
        ConfigError: the settings do not fit together; nothing was started.
        DataError: images are unusable; nothing was started.
        CheckpointError: the folder is damaged, or has another study or something else.
        Stopped: a signal or the time limit ended this process; its trials are at a checkpoint.
    """
    with StopSignals(parse_time_limit(plan.base.run.time_limit)) as signals:
        return _Tuning(plan, trials, slots, devices, study_dir).carry_out(signals)


class _Tuning:
    def __init__(
        self,
        plan: Plan,
        trials: int,
        slots: int | None,
        devices: Sequence[str],
        study_dir: Path | None,
    ) -> None:
        run = plan.base.run
        self.plan, self.trials, self.named = plan, trials, study_dir is not None
        self.console = plain_console()
        self.folder = study_dir or run.runs / "tune" / f"{datetime.now():%Y%m%d-%H%M%S}"
        _require_study_folder(self.folder)
        require_installed(run.track)
        for device in devices or (run.device,):
            prepare_device(run.model_copy(update={"device": device}))
        self.executor = LocalExecutor(slots or max(1, len(devices)), run.threads, devices)
        self.jobs: dict[str, Job] = {}
        self.ended: list[State] = []  # here, in order
        self._look_at = 0.0

    def carry_out(self, signals: StopSignals) -> StudyResult:
        require_possible(self.plan.corners)
        base = self.plan.base
        images = load_images(base.data, base.images, base.seed).fingerprint
        try:
            for part in PARTS:
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            refuse(self.folder, error, 0)
        with signals.deferred():
            self.study = Study.begin(self.folder, self.plan, images)
            rows = self.study.rows()
            done = sum(row.state != "running" for row in rows)
            self.console.print(f"study folder: {self.folder}")
            self.console.print(
                f"{self.trials} trials, {done} already done; running {self.executor.places} at once in this process"
            )
            with closing(Worker(self.folder / "workers")) as worker, closing(self.executor):
                asked = self._follow(worker, signals)
            content = write_results(self.study)
            if asked is not None:
                raise self._stopped(asked)
        return StudyResult(self.folder, content, self._error())

    def _follow(self, worker: Worker, signals: StopSignals) -> Stopped | None:
        """Run trials; return the request to stop, if there was one."""
        asked: Stopped | None = None
        lost: Counter[str] = Counter()
        while True:
            if asked is None and (asked := signals.asked()):
                self.console.print(f"{asked}; waiting for the searches to reach a checkpoint")
                self.executor.stop()
            due = time.monotonic() >= self._look_at
            if asked is None and due:
                self._fill(worker)
            if not self.executor.alive() and (asked or (due and self._is_over())):
                return asked
            for event in self.executor.poll():
                if isinstance(event, Started):
                    self._say_start(event.name, event.where)
                elif isinstance(event, Ended):
                    self._end(event, worker, asked, lost)
                    self._look_at = 0.0
            worker.beat()
            time.sleep(self.executor.pause)

    def _fill(self, worker: Worker) -> None:
        """Take trials until all places are taken or there are none."""
        while len(self.executor.alive()) < self.executor.places and not self._is_hopeless():
            given = self.study.hand_out(worker.name, self.trials, lambda name: not worker.is_alive(name))
            if given is None:
                self._look_at = time.monotonic() + _PAUSE
                return
            self._start(*given)

    def _start(self, number: int, values: Assignment) -> None:
        name = name_of(number)
        try:
            point = self.plan.point(values, name)
        except ConfigError as error:
            self.study.end_failed(number, str(error))
            self._note_end(number)
            return
        self.jobs[name] = self._job(number, point)
        self.executor.submit([self.jobs[name]])

    def _job(self, number: int, point: Point) -> Job:
        run_dir, run = self.study.run_dir(number), point.config.run
        changes = {"run_dir": run_dir, "resume": False, "threads": self.executor.threads, "time_limit": None}
        config = point.config.model_copy(update={"run": run.model_copy(update=changes)})
        write_atomically(self.folder / "configs" / f"{point.name}.yaml", to_yaml(config).encode())
        words = ["tune", "trial", str(self.folder), str(number), *point.code]
        command = [sys.executable, "-m", "adarts", *words]
        return Job(point.name, command, self.folder / "logs" / f"{point.name}.txt", run_dir)

    def _end(self, event: Ended, worker: Worker, asked: Stopped | None, lost: Counter[str]) -> None:
        """Deal with a trial whose process has ended."""
        number = int(event.name)
        if event.code != 0 and self.study.worker_of(number) != worker.name:
            self.console.print(f"trial {number} goes on in another process, which took this one for dead")
        elif event.code == 0:
            self._note_end(number)
        elif asked is None and goes_on(event, lost):
            self.console.print(f"queued trial {number} again: {event.words}")
            self.executor.submit([self.jobs[event.name]])
        elif asked is None or event.code not in (None, *INTERRUPTED):
            self.study.end_failed(number, event.words)
            self._note_end(number)
        else:
            self.console.print(f"stopped trial {number} at a checkpoint")

    def _say_start(self, name: str, where: str) -> None:
        row = self.study.rows()[int(name)]
        values = ", ".join(f"{setting}={shown(value)}" for setting, value in row.parameters.items())
        self.console.print(f"started trial {row.number}{f' on {where}' if where else ''}: {values}")

    def _note_end(self, number: int) -> None:
        rows = self.study.rows()
        row, best = rows[number], best_of(rows)
        self.ended.append(row.state)
        what = {
            "finished": figure(row.value),
            "pruned": f"{figure(row.value)} after {row.epochs} epochs",
        }.get(row.state, f"{row.error} (log: {self.folder / 'logs' / name_of(number)}.txt)")
        leads = "" if best is None else f"; best so far: trial {best.number}, {figure(best.value)}"
        self.console.print(f"{row.state} trial {number}: {what}{leads}")

    def _is_over(self) -> bool:
        return self.study.is_done(self.trials) or self._is_hopeless()

    def _is_hopeless(self) -> bool:
        """Whether the first trials of this process failed, so that the next ones probably would, too."""
        return len(self.ended) >= _HOPELESS and set(self.ended) == {"failed"}

    def _stopped(self, asked: Stopped) -> Stopped:
        done = sum(row.state != "running" for row in self.study.rows())
        again = "" if self.named else f" and --study-dir {self.folder}"
        words = f"{done} of {self.trials} trials done, in {self.folder}; continue with the same command{again}"
        return Stopped(f"{asked}, {words}", asked.exit_code)

    def _error(self) -> AdartsError | None:
        rows = self.study.rows()
        failed = [row for row in rows if row.state == "failed"]
        if not failed:
            return None
        which = f"{', '.join(str(row.number) for row in failed)} (logs in {self.folder / 'logs'})"
        return AdartsError(f"{len(failed)} of {len(rows)} trials failed: {which}; the last one: {failed[-1].error}")


def _require_study_folder(folder: Path) -> None:
    """Refuse a folder of something else."""
    if not folder.is_dir() or (folder / PLAN).exists():
        return
    inside = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    if {name for name in inside if not name.startswith("study.")} - {*PARTS, TABLE, PAGE}:
        raise CheckpointError(f"{folder} is neither empty nor the folder of a study; choose another --study-dir")
