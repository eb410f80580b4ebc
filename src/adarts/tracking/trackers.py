"""All trackers of a run. One that fails is left out from then on, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from subprocess import SubprocessError
from typing import Any

from adarts.errors import ConfigError, Stopped
from adarts.tracking.base import Epochs, TrackedRun, Tracker, scalars
from adarts.tracking.mlflow import MLflow
from adarts.tracking.tensorboard import TensorBoard
from adarts.tracking.wandb import WandB

_TRACKERS: Mapping[str, Callable[[TrackedRun, Epochs], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
}
_LONGEST = 300  # characters of an error in a warning


def require_installed(names: Iterable[str]) -> None:
    """Check that the packages of these trackers are installed, without importing them.

    Raises:
        ConfigError: one is missing; the message has the command that installs it.
    """
    for name in names:
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of this name is no package
            raise ConfigError(
                f"--track {name} needs a package that is missing; install it: pip install 'adarts[{name}]'"
            )


class Trackers:
    """The trackers of a run.

    Args:
        names: which ones.
        run: the run.
        log: called with lines for the log of the run.
    """

    def __init__(self, names: Iterable[str], run: TrackedRun, log: Callable[[str], None]) -> None:
        self._names = list(dict.fromkeys(names))
        self._run, self._log = run, log
        self._open: dict[str, Tracker] = {}
        self._num_epochs = -1

    def follow(self, read: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        """Let the trackers have exactly these records: at the start of a run, and whenever it goes back.

        Args:
            read: returns the records of all epochs so far.
        """
        if not self._names:
            return
        epochs = [scalars(record) for record in read()]
        if len(epochs) == self._num_epochs:  # back to a place within the same epoch
            return
        self.close()
        self._num_epochs = len(epochs)
        for name in list(self._names):
            self._try(name, partial(self._start, name, epochs))

    def record(self, record: Mapping[str, Any]) -> None:
        """Pass on the record of the next epoch."""
        values = scalars(record)
        for name, tracker in list(self._open.items()):
            self._try(name, partial(tracker.record, self._num_epochs, values))
        self._num_epochs += 1

    def finish(self, summary: Mapping[str, Any], draw: Callable[[], Mapping[str, bytes]]) -> None:
        """Pass on the results of the finished run.

        Args:
            summary: its results; their numbers are passed on.
            draw: returns pictures, as PNG files by name.
        """
        if not self._open:
            return
        try:
            pictures = draw()
        except (OSError, SubprocessError) as error:
            self._log(f"warning: there are no pictures for the trackers: {_one_line(error)}")
            pictures = {}
        results = {f"result/{name}": value for name, value in scalars(summary).items()}
        for name, tracker in list(self._open.items()):
            self._try(name, partial(tracker.finish, results, pictures))

    def close(self) -> None:
        """Let all trackers write what is left."""
        for name, tracker in list(self._open.items()):
            self._try(name, tracker.close)
        self._open.clear()

    def _start(self, name: str, epochs: Epochs) -> None:
        tracker = _TRACKERS[name](self._run, epochs)
        self._open[name] = tracker
        self._log(f"tracking: {tracker.where}")

    def _try(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Stopped:  # by a signal
            raise
        except Exception as error:  # of another package, for whatever reason
            self._names.remove(name)
            self._open.pop(name, None)
            self._log(f"warning: tracking with {name} failed, and the run goes on without it: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST]
