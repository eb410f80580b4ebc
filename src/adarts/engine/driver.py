"""Carry out the steps and epochs of a task so that a stop at any moment costs little and changes nothing.

The driver knows nothing of networks. It asks the task for one step after the other, adds up what the steps return, and
owns everything around them: checkpoints, metrics, stops, progress, and what to do when a loss is not finite or memory
runs out.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from adarts.config.settings import RunSettings
from adarts.engine.folder import RunFolder
from adarts.engine.memory import first_line, is_out_of_memory, out_of_memory_named
from adarts.engine.progress import ProgressBar
from adarts.engine.signals import StoppedAtOnce, StopSignals
from adarts.errors import CheckpointError, NotFiniteError, OutOfMemoryError, Stopped


@contextmanager
def whole_run(what: str) -> Iterator[None]:
    """Around all that a run does, also outside its steps: a signal stops it, and memory that runs out is said in one line."""
    with StopSignals(), out_of_memory_named(f"in the {what}"):
        yield


class Task(Protocol):
    """What is carried out. Equal states lead to equal steps: all randomness is a function of (seed, epoch, step)."""

    check_stop: Callable[[], None]
    """Called between the batches of a long measurement; it may raise to stop the run. The driver sets it."""

    @property
    def epochs(self) -> int:
        """Number of epochs; a task that ends early says so before the last of them is over."""

    def steps(self, epoch: int) -> int:
        """Number of steps of an epoch."""

    def step(self, epoch: int, step: int) -> Mapping[str, Tensor | float]:
        """Carry out one step.

        Returns:
            Sums, which are added up over the epoch. The progress bar shows the sum ``loss`` over the sum ``images``.

        Raises:
            NotFiniteError: a loss is NaN or infinite; raised before anything is updated.
        """

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        """Measure what is measured once an epoch and return the metrics record: plain JSON, and no times.

        A long measurement calls :meth:`RunFolder.stop_if_asked` now and then, before it changes the task's own state:
        the epoch then ends after the resume.
        """

    def describe(self, record: Mapping[str, Any]) -> str:
        """One plain line for people about an epoch's record."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on: tensors, numbers, texts and plain containers only."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state of :meth:`state_dict`; its tensors lie on the CPU."""

    def halve_batch(self) -> bool:
        """Use half as many images at a time with the same update as before; False when that is impossible.

        The choice belongs to :meth:`state_dict`, so that a resumed run keeps it.
        """


def carry_out(task: Task, run: RunFolder, settings: RunSettings, describe: Callable[[], str] = str) -> None:
    """Carry out the task from its beginning or its last checkpoint to its end.

    Args:
        task: what is done.
        run: where its state is kept.
        settings: how often.
        describe: what will be done and what it will cost, for people; it may measure steps, if it undoes them.

    Raises:
        Stopped: a signal or the time limit ended the run; a checkpoint was written.
        NotFiniteError: a loss is not finite and no rollback is left.
        OutOfMemoryError: a step does not fit in memory.
        CheckpointError: a checkpoint cannot be read or written.
    """
    task.check_stop = run.stop_if_asked
    _Driver(task, run, settings).carry_out(describe)


class _StepTooLarge(Exception):
    """Memory did not suffice for a step; it says what torch said."""


class _Driver:
    def __init__(self, task: Task, run: RunFolder, settings: RunSettings) -> None:
        self.task, self.run, self.settings = task, run, settings
        self.epoch = self.step = self.rollbacks = 0
        self.totals: dict[str, Tensor | float] = {}
        self.saved_at = time.monotonic()

    def carry_out(self, describe: Callable[[], str]) -> None:
        with self.run.signals.deferred():
            # Inside, too: a signal that meets a step to be undone, or the first checkpoint half written, stops as after a step.
            if text := describe():
                self.run.log(text)
            self._start()
            with ProgressBar(self.run.console, self.task.epochs, self._done()) as self.progress:
                self._advance_to_the_end()

    def _advance_to_the_end(self) -> None:
        while self.epoch < self.task.epochs:
            try:
                self._advance()
                continue
            except NotFiniteError as error:
                self._roll_back(error)
                continue
            except _StepTooLarge as error:
                reason = str(error)
            # Here the exception is gone, and with it the frames that held the step's tensors.
            self._halve_batch(reason)

    def _start(self) -> None:
        state = self.run.checkpoints.load()
        if state is None:
            # Saved before the first step: a full disk shows at once, and there is a state to return to.
            self.run.metrics.truncate(0)
            self._save()
        else:
            self.run.add_seconds(self._restore(state))
            self.run.log(f"continuing from {self._position()}")

    def _advance(self) -> None:
        """One step, or the end of an epoch."""
        steps = self.task.steps(self.epoch)
        if self.step == steps:
            self._end_epoch()
        else:
            try:
                sums = self.task.step(self.epoch, self.step)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                raise _StepTooLarge(first_line(error)) from error
            self.step += 1
            for name, value in sums.items():
                # Kept as tensors, so that no step waits for the device; in double, so that long sums stay exact.
                value = value.detach().double() if isinstance(value, Tensor) else value
                self.totals[name] = self.totals.get(name, 0.0) + value
            self.progress.step(self.epoch, self.step, steps, self.totals)
        if asked := self.run.signals.asked():
            self._stop(asked)
        if time.monotonic() - self.saved_at >= 60 * self.settings.checkpoint_minutes:
            self._save()

    def _halve_batch(self, reason: str) -> None:
        """Memory did not suffice for a step: go back to the last checkpoint, and on with smaller batches."""
        position = self._position()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._restore_last()
        if not self.task.halve_batch():
            raise OutOfMemoryError(f"out of memory, even with the smallest batch: {reason}")
        self.run.warn(f"out of memory at {position}: halving the batch and adding up gradients instead")
        self._save()

    def _end_epoch(self) -> None:
        try:
            with out_of_memory_named(f"at {self._position()}"):  # smaller steps would not help a measurement
                record = self.task.end_epoch(self.epoch, {name: float(total) for name, total in self.totals.items()})
        except StoppedAtOnce:  # anywhere in there, so the task may have changed by half: nothing to save
            raise
        except Stopped as asked:
            self._stop(asked)
        self.run.metrics.append(record)
        self.epoch, self.step, self.totals = self.epoch + 1, 0, {}
        self._save()
        times = self.progress.end_epoch(self._done(), self.task.epochs, self.run.seconds)
        self.run.log(f"epoch {self.epoch}/{self.task.epochs}  {self.task.describe(record)}  {times}")

    def _stop(self, asked: Stopped) -> None:
        self._save()
        message = f"{asked} at {self._position()}; continue with: {self.run.resume_command}"
        raise Stopped(message, asked.exit_code) from None

    def _roll_back(self, error: NotFiniteError) -> None:
        message = f"{self._position()}: {error}"
        if self.rollbacks >= self.settings.rollbacks:
            used = f" after {self.rollbacks} rollback(s)" if self.rollbacks else ""
            raise NotFiniteError(f"{message}; stopped before the update{used}") from error
        rollbacks = self.rollbacks + 1
        self._restore_last()
        # Counted in the checkpoint: an equal state leads to an equal step, and a resume must not start the count anew.
        self.rollbacks = rollbacks
        self._save()
        self.run.warn(f"{message}; rollback {rollbacks} of {self.settings.rollbacks} to {self._position()}")

    def _save(self) -> None:
        self.run.checkpoints.save(
            {
                "task": self.task.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "totals": self.totals,
                "num_metrics": len(self.run.metrics),
                "rollbacks": self.rollbacks,
                "seconds": self.run.seconds,
            }
        )
        self.saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> float:
        """Go to a saved state; returns the seconds that were spent until then."""
        try:
            self.task.load_state_dict(state["task"])
            self.epoch, self.step, self.rollbacks = (int(state[name]) for name in ("epoch", "step", "rollbacks"))
            self.totals = dict(state["totals"])
            num_metrics, seconds = int(state["num_metrics"]), float(state["seconds"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            reason = f"{error} is missing" if isinstance(error, KeyError) else first_line(error).rstrip(":")
            raise CheckpointError(f"{self.run.checkpoints.loaded} does not fit this run: {reason}") from error
        self.run.metrics.truncate(num_metrics)
        return seconds

    def _restore_last(self) -> None:
        state = self.run.checkpoints.load()
        if state is None:
            raise CheckpointError(f"{self.run.path}: its checkpoints disappeared while it ran")
        self._restore(state)

    def _position(self) -> str:
        if self.epoch >= self.task.epochs:
            return "the end of the last epoch"
        steps = self.task.steps(self.epoch)
        place = "the end of its steps" if self.step == steps else f"step {self.step + 1}/{steps}"
        return f"epoch {self.epoch + 1}/{self.task.epochs}, {place}"

    def _done(self) -> float:
        """Epochs carried out, with the fraction of the current one; its end counts as one more step."""
        if self.epoch >= self.task.epochs:
            return float(self.epoch)
        return self.epoch + self.step / (self.task.steps(self.epoch) + 1)
