"""The program that runs a job on the node of a cluster."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adarts.launch import INTERRUPTED
from adarts.sweeping.executors.base import Job
from adarts.sweeping.executors.process import Process
from adarts.sweeping.executors.record import Record

_ORPHAN_SECONDS = 120.0  # time for the same job on a node that its cluster has given up to reach a checkpoint


@dataclass
class NodeJob:
    """A job as a function without arguments, which a cluster calls on one of its nodes; it returns the exit code.

    Args:
        job: the job; its paths are valid on all nodes.
        record: the file for what happens to it.
        threads: its threads.
        folder: the working folder, to which relative paths refer.
    """

    job: Job
    record: Path
    threads: int
    folder: Path
    _process: Process | None = field(default=None, init=False)

    def __call__(self) -> int | None:
        os.chdir(self.folder)
        before = Record.read(self.record)
        self._now = Record(before.attempt + 1 if before else 1, os.environ.get("SLURMD_NODENAME", socket.gethostname()))
        self._now.write(self.record)
        _wait_until_free(self.job.run_dir / ".lock")
        self._process = Process.start(self.job, self.threads)
        return self._end(self._process.popen.wait())

    def checkpoint(self) -> Any:
        """Called by submitit inside a signal handler when the job's time is up: what to run next, None if nothing is left.

        Slurm has sent the signal to the search, too, so it is about to end. The interrupted call of ``popen.wait`` holds the
        lock of the process, so a second one would wait forever.
        """
        if self._process is not None:
            ended = os.waitid(os.P_PID, self._process.popen.pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            code = self._end(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
            if code not in (*INTERRUPTED, None):
                return None
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(NodeJob(self.job, self.record, self.threads, self.folder))

    __submitit_checkpoint__ = checkpoint

    def stop(self) -> None:
        """Ask the job to stop at a checkpoint; called from another thread."""
        if self._process is None:
            os._exit(0)
        self._process.popen.terminate()

    def _end(self, status: int) -> int | None:
        assert self._process is not None
        code, words = self._process.end(status)
        replace(self._now, ended=True, code=code, words=words).write(self.record)
        return code


def _wait_until_free(lock: Path) -> None:
    """Wait for another process to release a lock; if it never does, the job itself says so."""
    end = time.monotonic() + _ORPHAN_SECONDS
    while lock.exists() and time.monotonic() < end:
        with lock.open("rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except OSError:
                time.sleep(1.0)
