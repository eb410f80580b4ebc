"""Run the steps and epochs of a task so that it can be stopped at any time without changing the result.

The driver knows nothing about networks. It calls the task step by step, sums up what the steps return, and handles
checkpoints, metrics, stops, progress, losses that are not finite, and running out of memory.
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
from adarts.engine import parallel
from adarts.engine.folder import RunFolder
from adarts.engine.memory import first_line, is_out_of_memory, out_of_memory_named
from adarts.engine.progress import ProgressBar
from adarts.engine.signals import StoppedAtOnce, StopSignals
from adarts.errors import CheckpointError, NotFiniteError, OutOfMemoryError, Stopped, refusing


@contextmanager
def whole_run(what: str) -> Iterator[None]:
    """Context of a whole run, including work outside its steps: signals stop it, and running out of memory is one line."""
    with StopSignals(), parallel.joined(), out_of_memory_named(f"in the {what}"):
        yield


class Task(Protocol):
    """The work of a run, in steps. Equal states lead to equal steps: all randomness is a function of (seed, epoch, step)."""

    check_stop: Callable[[], None]
    """Set by the driver. The task calls it between the batches of a long measurement; it may raise to stop the run."""

    @property
    def epochs(self) -> int:
        """Number of epochs. A task that stops early lowers it before its last epoch is over."""

    def steps(self, epoch: int) -> int:
        """Number of steps in an epoch."""

    def step(self, epoch: int, step: int) -> Mapping[str, Tensor | float]:
        """Run one step.

        Returns:
            Sums, accumulated over the epoch. The progress bar shows the sum ``loss`` divided by the sum ``images``.

        Raises:
            NotFiniteError: a loss is NaN or infinite; raised before anything is updated.
        """

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        """Take the measurements at the end of an epoch and return the metrics record: plain JSON without times.

        A long measurement calls `check_stop` regularly, before it changes the task's own state. If the run stops there, the
        epoch ends after the resume.
        """

    def describe(self, record: Mapping[str, Any]) -> str:
        """Describe an epoch's record in one line of text."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on; only tensors, numbers, strings and plain containers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state of :meth:`state_dict`; its tensors are on the CPU."""

    def halve_batch(self) -> bool:
        """Process half as many images at a time, with unchanged updates; return False if that is impossible.

        :meth:`state_dict` includes this choice, so a resumed run keeps it.
        """


def carry_out(task: Task, run: RunFolder, settings: RunSettings, describe: Callable[[], str] = str) -> None:
    """Run the task to its end, from the start or from its last checkpoint.

    Args:
        task: the task.
        run: its run folder.
        settings: checkpoint interval and number of rollbacks.
        describe: returns a text about the work and its cost. It may time steps, but must undo them.

    Raises:
        Stopped: a signal or the time limit ended the run; a checkpoint was written.
        NotFiniteError: a loss is not finite and no rollback is left.
        OutOfMemoryError: a step does not fit in memory.
        CheckpointError: a checkpoint cannot be read or written.
    """
    task.check_stop = run.stop_if_asked
    _Driver(task, run, settings).carry_out(describe)


class _StepTooLarge(Exception):
    """A step ran out of memory; carries torch's message."""


class _Driver:
    def __init__(self, task: Task, run: RunFolder, settings: RunSettings) -> None:
        self.task, self.run, self.settings = task, run, settings
        self.epoch = self.step = self.rollbacks = 0
        self.totals: dict[str, Tensor | float] = {}
        self.saved_at = time.monotonic()

    def carry_out(self, describe: Callable[[], str]) -> None:
        with self.run.signals.deferred():
            # Describing and starting are inside too: a signal must not interrupt a timed step or the first checkpoint.
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
            # Outside the except block: the exception's frames no longer hold the step's tensors.
            self._halve_batch(reason)

    def _start(self) -> None:
        state = parallel.in_turn(self.run.checkpoints.load)
        if state is None:
            # Save before the first step: a full disk shows at once, and a rollback has a state to return to.
            self._go_back(0)
            self._save()
        else:
            self.run.add_seconds(self._restore(state))
            self.run.log(f"continuing from {self._position()}")

    def _advance(self) -> None:
        """Run one step, or end the epoch."""
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
                # Tensors, so that no step waits for the device; double, so that long sums stay exact.
                value = value.detach().double() if isinstance(value, Tensor) else value
                self.totals[name] = self.totals.get(name, 0.0) + value
            self.progress.step(self.epoch, self.step, steps, self.totals)
        if asked := self.run.asked():
            self._stop(asked)
        due = parallel.leads() and time.monotonic() - self.saved_at >= 60 * self.settings.checkpoint_minutes
        if parallel.largest(due)[0]:
            self._save()

    def _halve_batch(self, reason: str) -> None:
        """After running out of memory, return to the last checkpoint and continue with smaller batches."""
        position = self._position()
        if parallel.count() > 1:  # the others are in the middle of this step
            raise OutOfMemoryError(f"out of memory at {position}; use smaller batches or more processes: {reason}")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._restore_last()
        if not self.task.halve_batch():
            raise OutOfMemoryError(f"out of memory, even with the smallest batch: {reason}")
        self.run.warn(f"out of memory at {position}: halving the batch and accumulating gradients")
        self._save()

    def _end_epoch(self) -> None:
        try:
            with out_of_memory_named(f"at {self._position()}"):  # halving the batch of steps would not help here
                record = self.task.end_epoch(self.epoch, {name: float(total) for name, total in self.totals.items()})
        except StoppedAtOnce:  # the task may be in an inconsistent state, so do not save it
            raise
        except Stopped as asked:
            self._stop(asked)
        self.run.metrics.append(record)
        self.epoch, self.step, self.totals = self.epoch + 1, 0, {}
        self._save()
        # After the checkpoint, so that a killed run repeats no epoch that a tracker has; it makes up for a missing one.
        self.run.trackers.record(record)
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
        # Saved in the checkpoint, so that a resume does not reset the count.
        self.rollbacks = rollbacks
        self._save()
        self.run.warn(f"{message}; rollback {rollbacks} of {self.settings.rollbacks} to {self._position()}")

    def _save(self) -> None:
        self.run.checkpoints.save(
            {
                "processes": parallel.count(),
                "task": self.task.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "totals": self.totals,
                "num_metrics": len(self.run.metrics),
                "rollbacks": self.rollbacks,
                "seconds": self.run.seconds,
            }
        )
        parallel.wait()  # nobody leaves before the leader has written it
        self.saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> float:
        """Load a saved state; return the seconds spent up to it."""
        with refusing(f"{self.run.checkpoints.loaded} does not fit this run", CheckpointError):
            try:
                self.task.load_state_dict(state["task"])
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise OutOfMemoryError(first_line(error)) from error
                raise
            self.epoch, self.step, self.rollbacks = (int(state[name]) for name in ("epoch", "step", "rollbacks"))
            self.totals = {name: total + 0.0 for name, total in state["totals"].items()}
            num_metrics, seconds = int(state["num_metrics"]), float(state["seconds"])
            processes = int(state["processes"])
            steps = self.task.steps(self.epoch) if self.epoch < self.task.epochs else 0
            if not (0 <= self.epoch <= self.task.epochs and 0 <= self.step <= steps):
                raise ValueError(f"there is no step {self.step} of epoch {self.epoch}")
        if processes != parallel.count():
            raise CheckpointError(
                f"{self.run.path} is a run of {processes} processes, not {parallel.count()}; continue it with as many, because "
                "the result depends on their number (--processes, or torchrun --nproc-per-node)"
            )
        self._go_back(num_metrics)
        return seconds

    def _go_back(self, epochs: int) -> None:
        """Forget the records after these epochs."""
        self.run.metrics.truncate(epochs)
        self.run.trackers.follow(self.run.metrics.read)

    def _restore_last(self) -> None:
        state = parallel.in_turn(self.run.checkpoints.load)
        if state is None:
            raise CheckpointError(f"{self.run.path}: the checkpoints disappeared during the run")
        self._restore(state)

    def _position(self) -> str:
        if self.epoch >= self.task.epochs:
            return "the end of the last epoch"
        steps = self.task.steps(self.epoch)
        place = "the end of its steps" if self.step == steps else f"step {self.step + 1}/{steps}"
        return f"epoch {self.epoch + 1}/{self.task.epochs}, {place}"

    def _done(self) -> float:
        """Finished epochs plus the fraction of the current one; the end of an epoch counts as one more step."""
        if self.epoch >= self.task.epochs:
            return float(self.epoch)
        return self.epoch + self.step / (self.task.steps(self.epoch) + 1)
