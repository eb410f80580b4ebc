"""Run a sweep: every point is a complete search with its own process and run folder.

    runs/sweep/NAME/
        points/POINT/       run folder of a search
        configs/POINT.yaml  configuration of its process
        logs/POINT.txt      output of its process
        trainings/POINT/    run folder of a training of what the search found, or of random cells
        jobs/               what belongs to a cluster, if the searches run on one
        sweep.json  sweep.md

There is no other state: the run folder of a point shows whether it is finished. So the same sweep can be continued however it
ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from adarts.config.cluster import Engine
from adarts.engine import StopSignals, environment, parse_time_limit, write_atomically
from adarts.engine.files import refuse, to_json
from adarts.engine.lock import Lock, require_free
from adarts.engine.progress import plain_console
from adarts.errors import AdartsError, CheckpointError, ConfigError, Stopped
from adarts.sweeping.executors.choice import JOBS, executor
from adarts.sweeping.pages import content, networks, page, summary
from adarts.sweeping.points import Point, require_possible
from adarts.sweeping.results import PointResult, groups
from adarts.sweeping.runner import Runner
from adarts.sweeping.trainings import TrainingResult, Trainings
from adarts.truth.judge import find_judge

_PARTS = ("points", "configs", "logs")
_FILES = (
    "sweep.json",
    "sweep.md",
    "report.html",
    "stability.json",
    "stability.svg",
    "paper",
)  # the last four by other commands


@dataclass(frozen=True)
class SweepResult:
    """Result of a sweep.

    Attributes:
        folder: folder of the sweep.
        summary: content of ``sweep.json``.
    """

    folder: Path
    summary: dict[str, Any]


def run_sweep(
    points: Sequence[Point],
    engine: Engine | None = None,
    sweep_dir: Path | None = None,
    train: Mapping[str, Any] | None = None,
) -> SweepResult:
    """Run all points that are not finished yet.

    Args:
        points: the searches, from :func:`adarts.sweeping.grid`. ``run.threads`` applies to each search (default: the number of
            cores of its slot; 1 on a cluster), ``run.time_limit`` to the whole sweep.
        engine: where the searches run; by default one after the other on this machine.
        sweep_dir: folder of the sweep; finished points in it are kept, others are continued. None makes a new one in
            ``run.runs``.
        train: settings by dotted name for trainings of what the searches found and of random cells; None for no trainings.

    Raises:
        ConfigError: settings do not fit together, or the cluster refuses its options; nothing was started.
        DataError: images are unusable; nothing was started.
        CheckpointError: a folder is damaged, locked, or belongs to another configuration.
        Stopped: a signal or the time limit ended the sweep; all searches are at a checkpoint.
        AdartsError: points failed; all others are finished.
    """
    if not points:
        raise ConfigError("a sweep needs at least one point")
    with StopSignals(parse_time_limit(points[0].config.run.time_limit)) as signals:
        return _Sweep(points, engine or Engine(), sweep_dir, train).carry_out(signals)


class _Sweep:
    def __init__(
        self, points: Sequence[Point], engine: Engine, sweep_dir: Path | None, train: Mapping[str, Any] | None
    ) -> None:
        run = points[0].config.run
        self.points, self.engine, self.named = points, engine, sweep_dir is not None
        self.folder = sweep_dir or run.runs / "sweep" / f"{datetime.now():%Y%m%d-%H%M%S}"
        _require_sweep_folder(self.folder)
        self.executor = executor(engine, self.folder, run.threads)
        self.console = plain_console()
        self.runner = Runner(engine, self.executor, self.folder, self.console)
        self.trainings = None if train is None else Trainings(points, train)
        self.trained: list[TrainingResult] = []
        self.rows = [PointResult(point, self.folder / "points" / point.name) for point in points]

    def carry_out(self, signals: StopSignals) -> SweepResult:
        waiting = self.runner.unfinished(self.rows)
        require_possible([row.point for row in waiting])
        try:
            for part in _PARTS:
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            refuse(self.folder, error, 0)
        lock = Lock(self.folder)
        try:
            self.environment = environment(self.runner.device, self.points[0].config.run.precision)
            done = len(self.rows) - len(waiting)
            self.console.print(f"sweep folder: {self.folder}")
            self.console.print(
                f"{len(self.rows)} points, {done} already finished; running {self.executor.places} at once"
            )
            with signals.deferred(), closing(self.executor):
                asked = self.runner.run(self.rows, signals, self._write) or self._train(signals)
                result = self._write()
                if self.engine.detach:
                    number = len(self.executor.alive())
                    self.console.print(f"{number} jobs are in the queue; attach with the same command")
                else:
                    self.console.print(f"\n{summary(groups(self.rows))}\n")
                    if self.trained:
                        self.console.print(f"{networks(self.trained)}\n")
                self._judge(asked)
            return result
        finally:
            lock.release()

    def _train(self, signals: StopSignals) -> Stopped | None:
        """Run the trainings once no search waits or runs."""
        if self.trainings is None or any(row.state in ("waiting", "running") for row in self.rows):
            return None
        found = [row for row in self.rows if row.state == "finished"]
        self.trained = self.trainings.of(found, self.folder / "trainings")
        done = len(self.trained) - len(self.runner.unfinished(self.trained))
        self.console.print(f"{len(self.trained)} trainings, {done} already finished")
        return self.runner.run(self.trained, signals, self._write)

    def _write(self) -> SweepResult:
        """Summarize and write the results so far."""
        rows: list[PointResult[Any]] = [*self.rows, *self.trained]
        for row in rows:
            if row.state == "finished":
                row.finish()
        found = groups(self.rows)
        facts = {
            "environment": self.environment,
            "on": self.engine.on,
            "slots": self.executor.places,
            "threads": self.executor.threads,
        }
        searched = dict.fromkeys(row.point.config.space for row in self.rows if row.state == "finished")
        floors = {space: judge.floors() for space in searched if (judge := find_judge(space))}
        whole = content(self.rows, found, facts, floors, self.trained)
        write_atomically(self.folder / "sweep.json", to_json(whole))
        data, spaces, scales = (
            ", ".join(dict.fromkeys(getattr(point.config, name) for point in self.points))
            for name in ("data", "space", "scale")
        )
        title = f"Sweep on {data}, space {spaces}, scale {scales}"
        write_atomically(self.folder / "sweep.md", page(title, self.rows, found, facts, floors, self.trained).encode())
        return SweepResult(self.folder, whole)

    def _judge(self, asked: Stopped | None) -> None:
        """Raise an error if the sweep was stopped or points failed."""
        again = self.environment["command"]
        again = f"{again}{'' if self.named else f' --sweep-dir {self.folder}'}" if again else "the same call"
        rows: list[PointResult[Any]] = [*self.rows, *self.trained]
        number = sum(row.state == "finished" for row in rows)
        if asked is not None:
            done = f"{number} of {len(rows)} points finished"
            raise Stopped(f"{asked}, {done}, in {self.folder}; continue with: {again}", asked.exit_code)
        if failed := [row.point.name for row in rows if row.state == "failed"]:
            which = f"{', '.join(failed)} (logs in {self.folder / 'logs'})"
            raise AdartsError(f"{len(failed)} of {len(rows)} points failed: {which}; retry them with: {again}")


def _require_sweep_folder(folder: Path) -> None:
    """Refuse a folder that is not a sweep's, or that another sweep is using."""
    if not folder.is_dir():
        return
    inside = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    if inside - {*_PARTS, *_FILES, JOBS, "trainings"}:
        raise CheckpointError(f"{folder} is neither empty nor the folder of a sweep; choose another --sweep-dir")
    require_free(folder)
