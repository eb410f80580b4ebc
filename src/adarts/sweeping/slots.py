"""Run child processes in parallel, each with its own cores and threads; none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

_CHILD = Path(__file__).with_name("child.py")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 10.0  # seconds for children to end before they are killed


@dataclass(frozen=True)
class Job:
    """A job: its name, the program and its arguments, and the file to which its output is appended."""

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class Ended:
    """A finished child: name of its job, exit code (negative if a signal ended it), last line of its output."""

    name: str
    code: int
    said: str


@dataclass(frozen=True)
class _Child:
    job: Job
    process: subprocess.Popen[bytes]
    cores: Sequence[int]
    log_began: int


class Slots(AbstractContextManager["Slots"]):
    """Runs jobs in order, `number` at once; leaving ``with`` ends those still running.

    Args:
        jobs: the jobs.
        number: number of children at once.
        threads: threads per child.
    """

    def __init__(self, jobs: Sequence[Job], number: int, threads: int) -> None:
        self._waiting = deque(jobs)
        self._threads = threads
        self._free = deque(bindings(usable_cores(), number, threads))
        self._children: list[_Child] = []

    @property
    def busy(self) -> bool:
        """Whether a job is running or waiting."""
        return bool(self._waiting or self._children)

    def fill(self) -> list[str]:
        """Start waiting jobs in the free slots; return their names."""
        started = []
        while self._waiting and self._free:
            job = self._waiting.popleft()
            self._children.append(self._start(job, self._free.popleft()))
            started.append(job.name)
        return started

    def ended(self) -> list[Ended]:
        """The children that ended since the last call."""
        gone = []
        for child in list(self._children):
            if (code := child.process.poll()) is not None:
                self._children.remove(child)
                self._free.append(child.cores)
                gone.append(Ended(child.job.name, code, _last_words(child, code)))
        return gone

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Start no more jobs, and send a signal to running ones."""
        self._waiting.clear()
        for child in self._children:
            child.process.send_signal(number)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.stop(signal.SIGINT)  # the second signal makes a search stop at once
        end = time.monotonic() + _PATIENCE
        for child in self._children:
            try:
                child.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def _start(self, job: Job, cores: Sequence[int]) -> _Child:
        child = [sys.executable, "-P", str(_CHILD), str(os.getpid()), ",".join(map(str, cores))]
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(self._threads)), "PYTHONUNBUFFERED": "1"}
        with job.log.open("ab") as log:
            began = log.tell()
            process = subprocess.Popen(
                [*child, *job.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,  # Ctrl-C on the terminal must reach only the parent, which then stops its children
            )
            return _Child(job, process, cores, began)


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def bindings(cores: Sequence[int], number: int, threads: int) -> list[Sequence[int]]:
    """An equal share of the cores for each slot; empty if there are fewer cores than threads, so that they share all cores."""
    if number * threads > len(cores):
        return [()] * number
    share = len(cores) // number
    return [cores[slot * share : (slot + 1) * share] for slot in range(number)]


def _last_words(child: _Child, code: int) -> str:
    """The one-line error message of the command line, else the last line of output, else how the child ended."""
    with child.job.log.open("rb") as log:
        log.seek(child.log_began)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    errors = [line.removeprefix("adarts: ") for line in lines if line.startswith("adarts: ")]
    return (errors or lines or [f"exit code {code}"])[-1]
