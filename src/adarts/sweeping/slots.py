"""Child processes side by side: so many at once, each with its own cores and threads, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_CHILD = Path(__file__).with_name("child.py")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 10.0  # seconds that children get to end at once before they are killed


@dataclass(frozen=True)
class Job:
    """What a child does.

    Attributes:
        name: of the job.
        command: the program and its arguments.
        log: the file that what it says is added to.
    """

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class Ended:
    """A child that ended.

    Attributes:
        name: of its job.
        code: exit code; negative where a signal ended it.
        said: its last words, in one line.
    """

    name: str
    code: int
    said: str


@dataclass(frozen=True)
class _Child:
    job: Job
    process: subprocess.Popen[bytes]
    log_began: int


class Slots:
    """Carries out jobs in their order, so many at once; leaving ``with`` ends whatever still runs.

    Args:
        jobs: what to do.
        number: of children at once.
        threads: of each child.
    """

    def __init__(self, jobs: Sequence[Job], number: int, threads: int) -> None:
        self._waiting = deque(jobs)
        self._threads = threads
        self._cores = bindings(usable_cores(), number, threads)
        self._children: list[_Child | None] = [None] * number

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._waiting) or any(self._children)

    def fill(self) -> list[str]:
        """Start waiting jobs in the free slots; their names."""
        started = []
        for slot, child in enumerate(self._children):
            if child is None and self._waiting:
                job = self._waiting.popleft()
                self._children[slot] = self._start(job, self._cores[slot])
                started.append(job.name)
        return started

    def ended(self) -> list[Ended]:
        """The children that ended since the last time."""
        gone = []
        for slot, child in enumerate(self._children):
            if child is not None and (code := child.process.poll()) is not None:
                self._children[slot] = None
                gone.append(Ended(child.job.name, code, _last_words(child, code)))
        return gone

    def stop(self) -> None:
        """Start nothing more, and ask what runs to stop."""
        self._waiting.clear()
        self._signal(signal.SIGTERM)

    def __enter__(self) -> Slots:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._signal(signal.SIGINT)  # a search that was asked before now stops at once
        end = time.monotonic() + _PATIENCE
        for child in filter(None, self._children):
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
            return _Child(job, process, began)

    def _signal(self, number: signal.Signals) -> None:
        for child in filter(None, self._children):
            child.process.send_signal(number)


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def bindings(cores: Sequence[int], number: int, threads: int) -> list[Sequence[int]]:
    """The cores of each slot, as many for each; none where there are fewer cores than threads, which then share all.

    Args:
        cores: what there is.
        number: of slots.
        threads: of each slot.
    """
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
