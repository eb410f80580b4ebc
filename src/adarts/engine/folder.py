"""The run folder: found or created, locked, and written atomically."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig, TrainConfig, code_options
from adarts.engine import parallel
from adarts.engine.checkpoints import Checkpoints, require_same_images
from adarts.engine.config_file import CONFIG_FILE, compared_settings, read_config
from adarts.engine.environment import changed_sources, changes, environment, prepare_device
from adarts.engine.files import read_json, refuse, remove_leftovers, to_json, write_atomically
from adarts.engine.lock import Lock
from adarts.engine.metrics import Metrics
from adarts.engine.progress import plain_console
from adarts.engine.run_dirs import (
    CHECKPOINTS,
    ENVIRONMENT,
    IMAGES_FILE,
    SUMMARY,
    Kind,
    delivered_in,
    images_from,
    list_run_dirs,
    make_run_dir,
    read_images_file,
    require_same_config,
    require_usable,
)
from adarts.engine.signals import StopSignals, parse_time_limit
from adarts.errors import CheckpointError, ConfigError, Stopped, nearest, refusing
from adarts.tracking import Trackers, require_installed
from adarts.tracking.base import TrackedRun

_LOG = "log.txt"


class RunFolder:
    """A run folder locked by this process. Use ``with RunFolder.open(...)``.

    If several processes share the run, the leader has it; in the others, what would write or print does nothing.

    Attributes:
        path: the folder.
        device: device of the run's tensors.
        metrics: one record per epoch.
        trackers: what gets a copy of the metrics.
        checkpoints: the checkpoints of the run.
        signals: requests to stop.
        console: console for log lines and progress.
        resume_command: command that continues the run.
    """

    def __init__(self, path: Path, config: SearchConfig | TrainConfig, device: torch.device) -> None:
        self.path = path
        self.kind: Kind = "search" if isinstance(config, SearchConfig) else "train"
        self.device = device
        command = f"adarts {self.kind} --config {path / CONFIG_FILE} --run-dir {path}"
        self.resume_command = " ".join([command, *code_options(config)])
        leads = parallel.leads()
        self.console = plain_console(quiet=not leads)
        self.signals = StopSignals(parse_time_limit(config.run.time_limit))
        self._clock = time.monotonic()
        self.checkpoints = Checkpoints(path / CHECKPOINTS, compared_settings(config), self.warn, leads)
        self._lock = Lock(path) if leads else None
        self.trackers = Trackers(config.run.track if leads else (), TrackedRun(path, config), self.log)
        try:
            self.metrics = Metrics(path / "metrics.jsonl", leads)  # counts the records, so it needs the lock
        except BaseException:
            self.close()
            raise

    @staticmethod
    def check(kind: Kind, config: SearchConfig | TrainConfig) -> torch.device:
        """Raise the errors that :meth:`open` would raise, without creating anything. Call it before reading images.

        Returns:
            The device that the run will use.

        Raises:
            ConfigError: the device or the time limit is invalid, or the package of a tracker is missing.
            CheckpointError: the folder is in use, not writable, or belongs to another configuration, or there is no run
                to resume.
        """
        parse_time_limit(config.run.time_limit)
        require_installed(config.run.track)
        device = prepare_device(config.run)
        if parallel.leads():
            require_usable(kind, config)
        return device

    @classmethod
    def open(
        cls,
        kind: Kind,
        label: str,
        config: SearchConfig | TrainConfig,
        facts: Mapping[str, Any] | None = None,
        images: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Create a run folder, or continue an unfinished one according to `config.run`; calls :meth:`check` first.

        Args:
            kind: search or train.
            label: end of a new folder's name, e.g. ``cifar10-adarts``.
            config: the complete configuration.
            facts: further facts for ``environment.json``, such as ``method_source``, the sha256 of a method's file.
            images: facts about the images for ``data.json``; a run continues only with the same ``fingerprint``.
        """
        if config.run.processes not in (1, parallel.count()):
            raise ConfigError(
                f"run.processes is {config.run.processes}, but there are {parallel.count()}: only the command line starts them "
                "(adarts search --processes, adarts train --processes); elsewhere use torchrun"
            )
        device = cls.check(kind, config)
        path = parallel.told(make_run_dir(kind, label, config) if parallel.leads() else Path())
        run = cls(path, config, device)
        try:
            if parallel.leads():
                run._prepare(config, facts or {}, images)
                run._point_latest(config.run.runs / kind)
            parallel.wait()
            run.signals.install()
        except BaseException:
            run.close()
            raise
        return run

    @staticmethod
    def find(reference: str | Path, kind: Kind, runs: Path = Path("runs")) -> Path:
        """Find a run folder by path, by the run's name, or by ``latest``.

        In a folder of `adarts run`, that is its search, or the training of the network that it delivered.

        Raises:
            CheckpointError: there is no such run, or it has not delivered a network yet.
        """
        with refusing(f"no run at {str(reference)[:60]!r}", CheckpointError):  # no file can have some names
            delivered = delivered_in(Path(reference)) if kind == "train" else None
            for path in (Path(reference), runs / kind / reference, delivered or Path(reference, kind)):
                if (path / CONFIG_FILE).is_file():
                    return path.resolve()
        names = [path.name for path in list_run_dirs(runs / kind)]
        hint = nearest(str(reference), ["latest", *names]) if names else "; there are no runs yet"
        raise CheckpointError(f"no run at {str(reference)[:200]}, nor under {runs / kind}{hint}")

    @property
    def finished(self) -> bool:
        """Whether the run is complete, i.e. has its summary."""
        return (self.path / SUMMARY).exists()

    @property
    def seconds(self) -> float:
        """Time spent by all processes of this run."""
        return time.monotonic() - self._clock

    def add_seconds(self, seconds: float) -> None:
        """Add the time of earlier processes."""
        self._clock -= seconds

    def log(self, text: str) -> None:
        """Print a text on the console and write it to the log file with the time."""
        self.console.print(text)
        self._log(text)

    def warn(self, text: str) -> None:
        """Log a warning."""
        self.log(f"warning: {text}")

    def asked(self) -> Stopped | None:
        """The request to stop, in any of the processes; they all must call this at the same point."""
        asked = self.signals.asked()
        (code,) = parallel.largest(0 if asked is None else asked.exit_code)
        return Stopped("stopped with another process of this run", code) if code and asked is None else asked

    def stop_if_asked(self) -> None:
        """Raise :class:`Stopped` after a signal or the time limit; call it during long work at the end of an epoch."""
        if asked := self.asked():
            raise asked

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file atomically."""
        if parallel.leads():
            write_atomically(self.path / name, content.encode() if isinstance(content, str) else content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file atomically."""
        self.write(name, to_json(value))

    def read_json(self, name: str) -> Any:
        """Read a JSON file of this run.

        Raises:
            CheckpointError: it is missing or not JSON.
        """
        return read_json(self.path / name)

    def finish(
        self, summary: dict[str, Any], pictures: Callable[[], Mapping[str, bytes]] = dict[str, bytes]
    ) -> dict[str, Any]:
        """Mark the run as finished: write the summary with kind and time of the run.

        Args:
            summary: the results.
            pictures: returns PNG files by name for the trackers; called only if there are trackers.

        Returns:
            The summary as read from the file.
        """
        self.trackers.finish(summary, pictures)
        self.write_json(SUMMARY, {"kind": self.kind, **summary, "seconds": round(self.seconds, 1)})
        parallel.wait()
        self.log(f"finished: {self.path}")
        return dict(self.read_json(SUMMARY))

    def close(self) -> None:
        """Close the trackers, restore the signal handlers and release the lock."""
        try:
            self.trackers.close()
        finally:
            self.signals.restore()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._log("".join(traceback.format_exception(error)).rstrip())
            self.log(f"unfinished: {self.path}")
        self.close()

    def _prepare(
        self, config: SearchConfig | TrainConfig, facts: Mapping[str, Any], images: Mapping[str, Any] | None
    ) -> None:
        """Write configuration and environment of a new run, or compare them with those of the continued run."""
        checkpoints = self.checkpoints.folder
        try:
            checkpoints.mkdir(exist_ok=True)
            for folder in (self.path, checkpoints):
                remove_leftovers(folder)
        except OSError as error:
            refuse(checkpoints, error, 0)
        now = {**environment(self.device, config.run.precision), **facts}
        known = {**(images or {}), "folder": images_from(config.data, self.path)}
        if not (self.path / CONFIG_FILE).exists():
            self.write_json(ENVIRONMENT, {**now, "continued": []})
            self.write_json(IMAGES_FILE, known)
            self.write(CONFIG_FILE, to_yaml(config))  # last: this file makes the folder a run folder
            self.log(f"run folder: {self.path}")
            return
        require_same_config(self.path, config)  # checked again under the lock
        if images is not None:
            require_same_images(images["fingerprint"], read_images_file(self.path)["fingerprint"])
        kept = read_config(self.path, type(config))
        if kept.data != config.data:
            self.write_json(IMAGES_FILE, known)
            self.write(CONFIG_FILE, to_yaml(kept.model_copy(update={"data": config.data})))
        self.log(f"run folder: {self.path} ({'finished' if self.finished else 'continued'})")
        if self.finished and config.run.track:
            self.warn("the run was finished before, so --track sends nothing")
        if not self.finished:
            with refusing(f"{self.path / ENVIRONMENT} is damaged", CheckpointError):
                before = self.read_json(ENVIRONMENT)
                last = (before["continued"] or [before])[-1]
                sources, changed = changed_sources(last, now), changes(last, now)
                continued = {**before, "continued": [*before["continued"], now]}
            for what in sources:
                self.warn(
                    f"the file of the {what} has changed since this run began; from here on this is another {self.kind}"
                )
            if changed:
                self.warn(f"the environment has changed: {', '.join(changed)}; the last bits of the result may differ")
            self.write_json(ENVIRONMENT, continued)

    def _point_latest(self, folder: Path) -> None:
        """Point `latest` to this run, if it is in the default folder."""
        # The run may be given as `latest`; other links belong to the user and stay.
        run = self.path.resolve() if self.path.name == "latest" else self.path
        if run.parent.resolve() != folder.resolve():
            return
        fresh = folder / f".latest.{os.getpid()}"
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(run.name)
            fresh.replace(folder / "latest")
        except OSError as error:  # some network drives do not support links
            self.warn(f"cannot point {folder / 'latest'} to this run: {error.strerror}")

    def _log(self, text: str) -> None:
        if not parallel.leads():
            return
        now = datetime.now().isoformat(sep=" ", timespec="seconds")
        # A full disk must not end the run here; the next checkpoint reports it.
        with suppress(OSError), (self.path / _LOG).open("a", encoding="utf-8") as file:
            file.write(f"{now}  {text}\n")
