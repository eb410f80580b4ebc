"""Several processes on this machine that share one run: how each knows its number, and how they are started.

``torchrun`` gives every process the same variables. It is not used here, because it ends with exit code 1 for every reason, and a
run that stopped at a checkpoint says so by its exit code.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_PATIENCE = 20.0  # seconds for the others to end once one has ended


def planned() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def leads() -> bool:
    """Whether this process is the one that writes and prints: the first one, or the only one."""
    return not planned() or os.environ["RANK"] == "0"


def start(number: int, words: Sequence[str], threads: int | None = None) -> int:
    """Run an adarts command in several processes that share its run, and wait for them.

    Ctrl-C reaches all of them; other requests to stop are passed on. If one ends, the others notice and end, too.

    Args:
        number: number of processes.
        words: the words after ``adarts``.
        threads: threads of each process; None divides the cores.

    Returns:
        The exit code: that of the first process, unless another one was killed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        **os.environ,
        "WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": str(threads or max(1, len(os.sched_getaffinity(0)) // number)),
    }
    processes = []
    try:
        for rank in range(number):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(subprocess.Popen([sys.executable, "-m", "adarts.cli", *words], env={**common, **own}))
        return _outcome(processes)
    finally:
        for process in processes:
            process.kill()


def _outcome(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all processes, and pass requests to stop on to them."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _SIGNALS}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all of them
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.05)
        end = time.monotonic() + _PATIENCE
        for process in processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    codes = [process.returncode for process in processes]
    killed = [code for code in codes if code < 0]
    return 128 - killed[0] if killed else codes[0]
