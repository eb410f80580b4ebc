"""Child processes on this machine, each with its own cores and threads; none is left behind."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from adarts.launch import usable_cores
from adarts.sweeping.executors.base import Ended, Event, Job, Started
from adarts.sweeping.executors.process import Process

_PATIENCE = 10.0  # seconds for children to end before they are killed


@dataclass(frozen=True)
class _Slot:
    cores: Sequence[int]
    device: str


@dataclass(frozen=True)
class _Child:
    process: Process
    slot: _Slot


class LocalExecutor:
    """Runs jobs in order, `slots` at once; :meth:`close` ends those still running.

    Args:
        slots: number of children at once.
        threads: threads per child; None for as many as its slot has cores.
        devices: each slot takes one in turn, and its jobs get it as ``--device``; empty for none.
    """

    pause = 0.1

    def __init__(self, slots: int, threads: int | None = None, devices: Sequence[str] = ()) -> None:
        cores = usable_cores()
        self.places, self.threads = slots, threads or max(1, len(cores) // slots)
        self._waiting: deque[Job] = deque()
        places = zip(bindings(cores, slots, self.threads), cycle(devices or ("",)), strict=False)
        self._free = deque(_Slot(bound, device) for bound, device in places)
        self._children: list[_Child] = []

    def submit(self, jobs: Sequence[Job]) -> None:
        """Add jobs; the next :meth:`poll` starts the first of them in the free slots."""
        self._waiting.extend(jobs)

    def poll(self) -> Sequence[Event]:
        """The children that ended, and those started in their place."""
        return [*self._collect(), *self._fill()]

    def alive(self) -> set[str]:
        """Names of the jobs that wait or run."""
        return {job.name for job in self._waiting} | {child.process.job.name for child in self._children}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Start no more jobs, and send a signal to running ones."""
        self._waiting.clear()
        for child in self._children:
            child.process.popen.send_signal(number)

    def close(self) -> None:
        """End all children."""
        self.stop()
        self.stop(signal.SIGINT)  # the second signal makes a search stop at once
        end = time.monotonic() + _PATIENCE
        for child in self._children:
            try:
                child.process.popen.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.popen.kill()
                child.process.popen.wait()

    def _fill(self) -> list[Event]:
        started: list[Event] = []
        while self._waiting and self._free:
            job, slot = self._waiting.popleft(), self._free.popleft()
            options = ["--device", slot.device] if slot.device else []
            process = Process.start(replace(job, command=[*job.command, *options]), self.threads, slot.cores)
            self._children.append(_Child(process, slot))
            started.append(Started(job.name, slot.device))
        return started

    def _collect(self) -> list[Event]:
        gone: list[Event] = []
        for child in list(self._children):
            if (code := child.process.popen.poll()) is not None:
                self._children.remove(child)
                self._free.append(child.slot)
                gone.append(Ended(child.process.job.name, *child.process.end(code)))
        return gone


def bindings(cores: Sequence[int], number: int, threads: int) -> list[Sequence[int]]:
    """An equal share of the cores for each slot; empty if there are fewer cores than threads, so that they share all cores."""
    if number * threads > len(cores):
        return [()] * number
    share = len(cores) // number
    return [cores[slot * share : (slot + 1) * share] for slot in range(number)]
