"""The folder of a run: found or made, locked, and written so that nothing in it is ever half there."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig, TrainConfig, code_options
from adarts.engine.checkpoints import Checkpoints
from adarts.engine.config_file import CONFIG_FILE, compared_settings
from adarts.engine.environment import changed_sources, changes, environment, prepare_device
from adarts.engine.files import refuse, remove_leftovers, to_json, write_atomically
from adarts.engine.lock import Lock
from adarts.engine.metrics import Metrics
from adarts.engine.run_dirs import (
    CHECKPOINTS,
    ENVIRONMENT,
    SUMMARY,
    Kind,
    list_run_dirs,
    make_run_dir,
    require_same_config,
    require_usable,
)
from adarts.engine.signals import StopSignals, parse_time_limit
from adarts.errors import CheckpointError, nearest

_LOG = "log.txt"


class RunFolder:
    """A run folder that this process holds; made by :meth:`open`, left by ``with``.

    Attributes:
        path: the folder.
        device: where the tensors of this run live.
        metrics: one record an epoch.
        checkpoints: the state to go on from.
        signals: requests to stop.
        console: where people read along.
        resume_command: what continues the run.
    """

    def __init__(self, path: Path, config: SearchConfig | TrainConfig, device: torch.device) -> None:
        self.path = path
        self.kind: Kind = "search" if isinstance(config, SearchConfig) else "train"
        self.device = device
        command = f"adarts {self.kind} --config {path / CONFIG_FILE} --run-dir {path}"
        self.resume_command = " ".join([command, *code_options(config)])
        self.console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.signals = StopSignals(parse_time_limit(config.run.time_limit))
        self._clock = time.monotonic()
        self.checkpoints = Checkpoints(path / CHECKPOINTS, compared_settings(config), self.warn)
        self._lock = Lock(path)
        try:
            self.metrics = Metrics(path / "metrics.jsonl")  # counts the records: only the holder may
        except BaseException:
            self._lock.release()
            raise

    @staticmethod
    def check(kind: Kind, config: SearchConfig | TrainConfig) -> torch.device:
        """Refuse at once what :meth:`open` would refuse; nothing is made. For the time before images are read.

        Returns:
            The device that the run will use.

        Raises:
            ConfigError: a device or a time limit that cannot be.
            CheckpointError: the folder is in use, cannot be written, or is of another configuration, or there is no run
                to resume.
        """
        parse_time_limit(config.run.time_limit)
        device = prepare_device(config.run)
        require_usable(kind, config)
        return device

    @classmethod
    def open(
        cls, kind: Kind, label: str, config: SearchConfig | TrainConfig, facts: Mapping[str, Any] | None = None
    ) -> RunFolder:
        """Make a new run folder, or continue an unfinished one as `config.run` says, after :meth:`check`.

        Args:
            kind: what is run.
            label: ends the name of a new folder, e.g. ``cifar10-adarts``.
            config: the whole configuration.
            facts: what else to write down of the environment: ``method_source``, the sha256 of the file of a method, and
                likewise of space and data.
        """
        device = cls.check(kind, config)
        run = cls(make_run_dir(kind, label, config), config, device)
        try:
            run._prepare(config, facts or {})
            run._point_latest(config.run.runs / kind)
            run.signals.install()
        except BaseException:
            run.close()
            raise
        return run

    @staticmethod
    def find(reference: str | Path, kind: Kind, runs: Path = Path("runs")) -> Path:
        """The folder of a run that a person means: a path, the name of a run, or ``latest``.

        Raises:
            CheckpointError: there is none.
        """
        for path in (Path(reference), runs / kind / reference):
            if (path / CONFIG_FILE).is_file():
                return path.resolve()
        names = ["latest", *(path.name for path in list_run_dirs(runs / kind))]
        raise CheckpointError(f"no run at {reference} nor under {runs / kind}{nearest(str(reference), names)}")

    @property
    def finished(self) -> bool:
        """Whether the run has its summary; nothing is left to do then."""
        return (self.path / SUMMARY).exists()

    @property
    def seconds(self) -> float:
        """The time that all processes of this run spent on it."""
        return time.monotonic() - self._clock

    def add_seconds(self, seconds: float) -> None:
        """Count the time of the processes before this one."""
        self._clock -= seconds

    def log(self, text: str) -> None:
        """Tell people: on the console and, with the time, in the log file."""
        self.console.print(text)
        self._log(text)

    def warn(self, text: str) -> None:
        """Tell people of something that they should look at."""
        self.log(f"warning: {text}")

    def stop_if_asked(self) -> None:
        """Raise :class:`Stopped` if a signal or the time limit asks for it; for long work at the end of an epoch."""
        if asked := self.signals.asked():
            raise asked

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file, completely or not at all."""
        write_atomically(self.path / name, content.encode() if isinstance(content, str) else content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, completely or not at all."""
        self.write(name, to_json(value))

    def read_json(self, name: str) -> Any:
        """Read a JSON file of this run.

        Raises:
            CheckpointError: it is not there, or not JSON.
        """
        path = self.path / name
        try:
            return json.loads(path.read_bytes())
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise CheckpointError(f"{path} is not JSON: {error}") from error

    def finish(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Write the summary with the kind and the time of the run, and return it as it will be read: the run is finished."""
        self.write_json(SUMMARY, {"kind": self.kind, **summary, "seconds": round(self.seconds, 1)})
        self.log(f"finished: {self.path}")
        return dict(self.read_json(SUMMARY))

    def close(self) -> None:
        """Give back the signals and the lock."""
        self.signals.restore()
        self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._log("".join(traceback.format_exception(error)).rstrip())
            self.log(f"unfinished: {self.path}")
        self.close()

    def _prepare(self, config: SearchConfig | TrainConfig, facts: Mapping[str, Any]) -> None:
        """Write down configuration and environment, or compare them with those of the run that is continued."""
        checkpoints = self.checkpoints.folder
        try:
            checkpoints.mkdir(exist_ok=True)
            for folder in (self.path, checkpoints):
                remove_leftovers(folder)
        except OSError as error:
            refuse(checkpoints, error, 0)
        now = {**environment(self.device, config.run.precision), **facts}
        if not (self.path / CONFIG_FILE).exists():
            self.write_json(ENVIRONMENT, {**now, "continued": []})
            self.write(CONFIG_FILE, to_yaml(config))  # last: what has it is a run folder
            self.log(f"run folder: {self.path}")
            return
        require_same_config(self.path, config)  # again, now that no other process can change it
        self.log(f"run folder: {self.path} ({'finished' if self.finished else 'continued'})")
        if not self.finished:
            before = self.read_json(ENVIRONMENT)
            last = (before["continued"] or [before])[-1]
            for what in changed_sources(last, now):
                self.warn(
                    f"the file of the {what} is not what it was in this run; from here on it is another {self.kind}"
                )
            if changed := changes(last, now):
                self.warn(f"not the environment that this run was in: {', '.join(changed)}; the last bits may differ")
            self.write_json(ENVIRONMENT, {**before, "continued": [*before["continued"], now]})

    def _point_latest(self, folder: Path) -> None:
        """Let `latest` point to this run, if it lies among the others."""
        # `latest` itself may be the way to it; other links are people's own, and stay.
        run = self.path.resolve() if self.path.name == "latest" else self.path
        if run.parent.resolve() != folder.resolve():
            return
        fresh = folder / f".latest.{os.getpid()}"
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(run.name)
            fresh.replace(folder / "latest")
        except OSError as error:  # some network drives know no links
            self.warn(f"{folder / 'latest'} does not point to this run: {error.strerror}")

    def _log(self, text: str) -> None:
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        # What people were told on the console is no reason to end a run when the disk is full: the next checkpoint is.
        with suppress(OSError), (self.path / _LOG).open("a", encoding="utf-8") as file:
            file.write(f"{now}  {text}\n")
