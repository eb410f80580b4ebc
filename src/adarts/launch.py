"""Several processes on this machine that share one run: how each knows its number, and how they are started.

``torchrun`` gives every process the same variables. It is not used here, because it ends with exit code 1 for every reason, and a
run that stopped at a checkpoint says so by its exit code.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

INTERRUPTED = (130, 143)
"""Exit codes of a run that is at a checkpoint, because it, or another process of it, was asked to stop."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_PATIENCE = 20.0  # seconds for the others to end once one has failed
_CHILD = Path(__file__).with_name("child.py")


def planned() -> bool:
    """Whether this process was started as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def leads() -> bool:
    """Whether this process is the one that writes and prints: the first one, or the only one."""
    return not planned() or os.environ["RANK"] == "0"


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def tied(command: Sequence[str], cores: Sequence[int] = ()) -> list[str]:
    """A command that receives a SIGTERM when this process ends for any reason, on Linux.

    Args:
        command: its words, the first one a path.
        cores: the cores to which it is bound; empty for all.
    """
    return [sys.executable, "-P", str(_CHILD), str(os.getpid()), ",".join(map(str, cores)), *command]


def start(number: int, words: Sequence[str]) -> int:
    """Run an adarts command in several processes that share its run, and wait for them.

    Requests to stop, Ctrl-C included, are passed on to all of them. If one fails, the others notice and end, too.

    Args:
        number: number of processes.
        words: the words after ``adarts``.

    Returns:
        The exit code: that of the first process, or of one that failed and so ended the run.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "OMP_NUM_THREADS": str(max(1, len(usable_cores()) // number)),
        **os.environ,
        "WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    command = tied([sys.executable, "-m", "adarts", *words])
    processes: list[subprocess.Popen[bytes]] = []
    with _passing_on(processes):
        try:
            for rank in map(str, range(number)):
                environment = {**common, "RANK": rank, "LOCAL_RANK": rank}
                # In a group of its own, so that Ctrl-C on the terminal reaches this process only, which passes it on.
                processes.append(subprocess.Popen(command, env=environment, process_group=0))
            _wait(processes)
        finally:
            for process in processes:
                process.kill()
    return outcome([process.returncode for process in processes])


@contextmanager
def _passing_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Context in which requests to stop are passed on to processes."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all processes have ended, or some time after one has failed."""
    end = math.inf
    while any(process.poll() is None for process in processes) and time.monotonic() < end:
        if end == math.inf and any(process.returncode for process in processes):
            end = time.monotonic() + _PATIENCE
        time.sleep(0.05)


def outcome(codes: Sequence[int | None]) -> int:
    """The exit code of a run from the return codes of its processes; None for one that had to be killed.

    A process that only stopped because another one failed does not hide the failure.
    """
    own = [143 if code is None else code if code >= 0 else 128 - code for code in codes]
    failed = [code for code in own if code not in (0, *INTERRUPTED)]
    return failed[0] if failed and own[0] else own[0]
