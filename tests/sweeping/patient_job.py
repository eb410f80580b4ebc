"""A stand-in for a search, and helpers to wait for what an executor says of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from adarts.sweeping.executors import Event, Executor, Job, Started

#: Writes down the program that started it, then ends at a file or a signal, as a search does.
PATIENT = r"""
import os, pathlib, signal, sys, time
def stop(number, frame):
    print(signal.Signals(number).name)
    sys.exit(143)
for number in (signal.SIGTERM, signal.SIGUSR2):
    signal.signal(number, stop)
with open(sys.argv[1] + '.began', 'a') as file:
    file.write(f'{os.getppid()}\n')
while not pathlib.Path(sys.argv[1] + '.go').exists():
    time.sleep(0.02)
"""


def job(folder: Path, name: str, code: str = PATIENT) -> Job:
    return Job(name, [sys.executable, "-c", code, str(folder / name)], folder / f"{name}.log", folder / "run")


def until(what: Executor, events: list[Event], *expected: Event) -> None:
    """Poll until these events have come."""
    end = time.monotonic() + 120
    while not set(expected) <= {Started(event.name) if isinstance(event, Started) else event for event in events}:
        assert time.monotonic() < end, events
        events += what.poll()
        time.sleep(0.05)


def begun(one: Executor, events: list[Event], folder: Path, name: str) -> int:
    """Wait until a job has begun and listens to signals; return the process that started it."""
    until(one, events, Started(name))
    end, file = time.monotonic() + 60, folder / f"{name}.began"
    while not file.exists() or not file.read_text().endswith("\n"):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(file.read_text().split()[-1])
