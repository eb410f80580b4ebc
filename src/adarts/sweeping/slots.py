"""Child processes side by side: so many at once, each with its own cores and threads, none left behind."""

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
_PATIENCE = 10.0  # seconds that children get to end at once before they are killed


@dataclass(frozen=True)
class Job:
    """What a child does: its name, the program and its arguments, and the file that what it says is added to."""

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class Ended:
    """A child that ended: the name of its job, its exit code (negative where a signal ended it), its last words in one line."""

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
    """Carries out jobs in their order, so many at once; leaving ``with`` ends whatever still runs.

    Args:
        jobs: what to do.
        number: of children at once.
        threads: of each child.
    """

    def __init__(self, jobs: Sequence[Job], number: int, threads: int) -> None:
        self._waiting = deque(jobs)
        self._threads = threads
        self._free = deque(bindings(usable_cores(), number, threads))
        self._children: list[_Child] = []

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._waiting or self._children)

    def fill(self) -> list[str]:
        """Start waiting jobs in the free slots; their names."""
        started = []
        while self._waiting and self._free:
            job = self._waiting.popleft()
            self._children.append(self._start(job, self._free.popleft()))
            started.append(job.name)
        return started

    def ended(self) -> list[Ended]:
        """The children that ended since the last time."""
        gone = []
        for child in list(self._children):
            if (code := child.process.poll()) is not None:
                self._children.remove(child)
                self._free.append(child.cores)
                gone.append(Ended(child.job.name, code, _last_words(child, code)))
        return gone

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Start nothing more, and ask what runs to stop."""
        self._waiting.clear()
        for child in self._children:
            child.process.send_signal(number)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.stop(signal.SIGINT)  # a search that was asked before now stops at once
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
                process_group=0,  # Ctrl-C on the terminal is for the parent, which asks its children in its own way
            )
            return _Child(job, process, cores, began)


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def bindings(cores: Sequence[int], number: int, threads: int) -> list[Sequence[int]]:
    """The cores of each of so many slots, as many for each; none where there are fewer cores than threads, which then share."""
    if number * threads > len(cores):
        return [()] * number
    share = len(cores) // number
    return [cores[slot * share : (slot + 1) * share] for slot in range(number)]


def _last_words(child: _Child, code: int) -> str:
    """The command line's one line for an error, else the last line of any kind, else how the child ended."""
    with child.job.log.open("rb") as log:
        log.seek(child.log_began)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    errors = [line.removeprefix("adarts: ") for line in lines if line.startswith("adarts: ")]
    return (errors or lines or [f"exit code {code}"])[-1]
