"""Progress bars on a terminal, and the times for the log line of each epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from torch import Tensor

_REFRESH_SECONDS = 0.25  # reading the loss makes the device wait, so not at every step


def plain_console(quiet: bool = False) -> Console:
    """A console for lines of text as they are; in a notebook, too, which calls itself a terminal and cannot move the cursor."""
    return Console(
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        quiet=quiet,
        force_jupyter=False,  # lines of text, where rich would make a table of HTML of each
        force_terminal=False if Console().is_jupyter else None,  # None: what the output says
    )


class ProgressBar:
    """Bars for epochs and steps with the mean loss; hidden without a terminal. Earlier processes finished `done` epochs."""

    def __init__(self, console: Console, epochs: int, done: float) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
        self._bars = Bars(
            "{task.description}", *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._epochs = self._bars.add_task("epochs", total=epochs, completed=int(done), note="")
        self._steps = self._bars.add_task("steps", total=None, note="")
        self._done_before = done
        self._started = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> ProgressBar:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def step(self, epoch: int, step: int, steps: int, totals: Mapping[str, Tensor | float]) -> None:
        """Show `step` of `steps` as done."""
        if self._bars.disable or time.monotonic() - self._drawn < _REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        images = float(totals.get("images", 0.0))
        note = f"loss {float(totals['loss']) / images:.4f}" if images and "loss" in totals else ""
        self._bars.update(self._epochs, completed=epoch)
        self._bars.update(self._steps, total=steps, completed=step, note=note)

    def end_epoch(self, done: float, epochs: int, seconds: float) -> str:
        """Update the bars and return the elapsed and remaining time as text.

        Args:
            done: epochs finished, including those of earlier processes.
            epochs: total epochs; may have changed since the start.
            seconds: time spent so far by all processes of the run.
        """
        self._bars.update(self._epochs, completed=done, total=epochs)
        here = done - self._done_before
        if here <= 0:  # a rollback returned to before this process's start
            return f"{_clock(seconds)} elapsed"
        remaining = (time.monotonic() - self._started) / here * (epochs - done)
        return f"{_clock(seconds)} elapsed, {_clock(remaining)} to go"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
