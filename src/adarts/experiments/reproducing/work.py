"""Carry out runs: one after the other in this process, several at once on this machine, or as jobs of a cluster."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adarts.config.cluster import Engine
from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig, code_options
from adarts.engine import Metrics, StopSignals, write_atomically
from adarts.engine.footprint import MALLOC
from adarts.engine.progress import plain_console
from adarts.errors import AdartsError, Stopped
from adarts.experiments.reproducing import step
from adarts.experiments.reproducing.runs import Config, Runs
from adarts.report.numbers import duration
from adarts.searching import run_search
from adarts.sweeping.executors import Ended, Executor, Job
from adarts.sweeping.executors.choice import executor
from adarts.sweeping.results import PointResult
from adarts.sweeping.runner import Runner, goes_on
from adarts.training import run_training


@dataclass
class Work:
    """Carries out runs in a folder, and keeps what failed. To make one creates no files and starts nothing.

    Attributes:
        runs: the runs.
        engine: where they run.
        threads: threads of each; None for the executor's own choice.
        seconds: time limit for everything; None for no limit.
        failed: reason of each failure, by the name of the run.

    Raises:
        ConfigError: an option of the engine is of no use there, or its programs are missing.
        AdartsError: the cluster does not answer.
    """

    runs: Runs
    engine: Engine
    threads: int | None
    seconds: float | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._end = None if self.seconds is None else time.monotonic() + self.seconds
        self._pool().close()

    @property
    def here(self) -> bool:
        """Whether the runs are on this machine."""
        return self.engine.on == "local"

    def carry_out(self, configs: Sequence[Config]) -> None:
        """Carry out all runs that are not finished; a failure does not stop the others.

        Raises:
            Stopped: a signal or the time limit ended it; all runs are at a checkpoint.
        """
        waiting = {self.runs.place(config).name: config for config in configs if not self.runs.is_finished(config)}
        if not waiting:
            return
        self._make_folders()
        number, begin = len(waiting), time.monotonic()

        def told(name: str, error: str | None) -> None:
            done = sum(map(self.runs.is_finished, waiting.values())) + len(self.failed.keys() & waiting.keys())
            what = self._in_words(waiting[name]) if error is None else f"failed: {error} (log: {self._log(name)})"
            print(f"  {done}/{number} after {duration(round(time.monotonic() - begin))}: {name}: {what}", flush=True)

        in_turn = self.here and self.engine.slots in (None, 1)
        (self._in_turn if in_turn else self._at_once)(waiting, told)

    def measure(self, configs: Sequence[SearchConfig]) -> None:
        """Measure the search steps that were not measured yet, one after the other, where the runs are.

        Raises:
            Stopped: a signal or the time limit ended it.
        """
        waiting = {self.runs.step_file(config): config for config in configs if self.runs.step(config) is None}
        if not waiting:
            return
        self._make_folders()
        words: list[str] = []
        for place, config in waiting.items():
            file = self.runs.folder / "configs" / f"step-{place.stem}.yaml"
            write_atomically(file, to_yaml(config).encode())
            words += [str(file), str(place)]
        settings = [f"{name}={value}" for name, value in MALLOC.items()]
        command = ["/usr/bin/env", *settings, sys.executable, "-P", step.__file__, *words]
        self._run(Job("steps", command, self._log("steps"), self.runs.folder / "steps"))

    def _run(self, job: Job) -> None:
        """Run one job to its end."""
        lost = Counter[str]()
        asked: Stopped | None = None
        signals = self._signals()
        with signals, closing(self._pool()) as pool, signals.deferred():
            if job.name not in pool.alive():
                pool.submit([job])
            while job.name in pool.alive():
                if asked is None and (asked := signals.asked()):
                    pool.stop()
                for event in pool.poll():
                    if not isinstance(event, Ended) or event.name != job.name:
                        continue
                    if asked is None and goes_on(event, lost):
                        pool.submit([job])
                    elif event.code != 0:
                        self.failed[job.name] = f"{event.words} (log: {job.log})"
                time.sleep(pool.pause)
        if asked is not None:
            raise asked

    def _in_turn(self, waiting: Mapping[str, Config], told: Callable[[str, str | None], None]) -> None:
        for name, config in waiting.items():
            error = None
            with self._log(name).open("a", encoding="utf-8") as file, redirect_stdout(file):
                limited = config.run.model_copy(update={"run_dir": self.runs.place(config), "time_limit": self._left()})
                try:
                    if isinstance(config, SearchConfig):
                        run_search(config.model_copy(update={"run": limited}))
                    else:
                        run_training(config.model_copy(update={"run": limited}))
                except Stopped as stopped:
                    raise Stopped(str(stopped).split("; continue with")[0], stopped.exit_code) from None
                except AdartsError as found:
                    error = self.failed[name] = " ".join(str(found).split())
            told(name, error)

    def _at_once(self, waiting: Mapping[str, Config], told: Callable[[str, str | None], None]) -> None:
        console = plain_console()
        rows = [_Row(_Task(name, config), self.runs.place(config)) for name, config in waiting.items()]
        signals = self._signals()
        with signals, closing(self._pool()) as pool:
            runner = Runner(self.engine, pool, self.runs.folder, console)
            runner.unfinished(rows)
            with signals.deferred():
                asked = runner.run(rows, signals, lambda: None)
        for row in rows:
            if row.state == "failed":
                self.failed[row.point.name] = row.error or "no reason given"
            if row.state in ("finished", "failed"):
                told(row.point.name, row.error)
        if asked is not None:
            raise asked

    def _pool(self) -> Executor:
        """A new executor: a closed one has left its cluster."""
        return executor(self.engine, self.runs.folder, self.threads)

    def _signals(self) -> StopSignals:
        """Requests to stop, with the rest of the time limit."""
        self._stop_if_late()
        return StopSignals(None if self._end is None else self._end - time.monotonic())

    def _make_folders(self) -> None:
        for folder in ("configs", "logs"):
            (self.runs.folder / folder).mkdir(parents=True, exist_ok=True)

    def _stop_if_late(self) -> None:
        if self._end is not None and time.monotonic() >= self._end:
            raise Stopped("stopped by the time limit", 143)

    def _left(self) -> str | None:
        """The rest of the time limit, as an option of a run."""
        self._stop_if_late()
        return None if self._end is None else f"{max(1, round(self._end - time.monotonic()))}s"

    def _log(self, name: str) -> Path:
        return self.runs.folder / "logs" / f"{name}.txt"

    def _in_words(self, config: Config) -> str:
        """The result of a finished run in a few words."""
        found = self.runs.record(config)
        assert found is not None
        if not isinstance(config, SearchConfig):
            return f"{100 * found.summary['test_accuracy']:.2f} % test accuracy"
        skips = " + ".join(str(number) for number in found.summary["skips"].values())
        known = self.runs.estimate(config)
        return f"skips {skips}" + ("" if known is None else f", estimate {known:.2f} %")


@dataclass(frozen=True)
class _Task:
    """A run as a sweep sees it."""

    name: str
    config: Config

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"seed": self.config.seed}

    @property
    def epochs(self) -> int:
        return self.config.search.epochs if isinstance(self.config, SearchConfig) else self.config.training.epochs

    @property
    def code(self) -> list[str]:
        return code_options(self.config)


class _Row(PointResult[_Task]):
    def look(self) -> None:
        """Read the progress of a search or a training."""
        self.epochs = len(Metrics(self.folder / "metrics.jsonl").read())
