"""How far a run is: bars on a terminal, and the times for the line that ends every epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from torch import Tensor

_REFRESH_SECONDS = 0.25  # reading the loss makes the device wait, so not at every step


class ProgressBar:
    """Bars for epochs and steps with the mean loss; without a terminal they stay hidden.

    Args:
        console: where to draw.
        epochs: number of epochs.
        done: epochs that an earlier process carried out, with the fraction of the current one.
    """

    def __init__(self, console: Console, epochs: int, done: float) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bars = Bars(
            *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._epochs = self._bars.add_task("epochs", total=epochs, completed=int(done), note="")
        self._steps = self._bars.add_task("steps", total=None, note="")
        self._done_before = done
        self._started = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> ProgressBar:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def step(self, epoch: int, step: int, steps: int, totals: Mapping[str, Tensor | float]) -> None:
        """Show that `step` of `steps` steps are done."""
        if self._bars.disable or time.monotonic() - self._drawn < _REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        images = float(totals.get("images", 0.0))
        note = f"loss {float(totals['loss']) / images:.4f}" if images and "loss" in totals else ""
        self._bars.update(self._epochs, completed=epoch)
        self._bars.update(self._steps, total=steps, completed=step, note=note)

    def end_epoch(self, done: float, epochs: int, seconds: float) -> str:
        """The time so far and the time to go, in words.

        Args:
            done: epochs carried out.
            epochs: number of epochs, as it is now; a task may end before what it began with.
            seconds: time that all processes of this run spent on it.
        """
        self._bars.update(self._epochs, completed=done, total=epochs)
        here = done - self._done_before
        if here <= 0:  # a rollback led to before the place where this process began
            return f"{_clock(seconds)} elapsed"
        remaining = (time.monotonic() - self._started) / here * (epochs - done)
        return f"{_clock(seconds)} elapsed, {_clock(remaining)} to go"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
