"""The process of a job, on whichever machine: how it is started, and what its end means."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from adarts.launch import tied
from adarts.sweeping.executors.base import Job

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# A search that was asked to stop before it could listen.
_ASKED = {-signal.SIGINT: 130, -signal.SIGTERM: 143, -signal.SIGUSR1: 143, -signal.SIGUSR2: 143}


@dataclass(frozen=True)
class Process:
    """A running job, and the length of its log before it began."""

    job: Job
    popen: subprocess.Popen[bytes]
    log_began: int

    @staticmethod
    def start(job: Job, threads: int, cores: Sequence[int] = ()) -> Process:
        """Start a job that ends with this process.

        Args:
            job: the job.
            threads: its threads.
            cores: the cores to which it is bound; empty for all.
        """
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONUNBUFFERED": "1"}
        with job.log.open("ab") as log:
            began = log.tell()
            popen = subprocess.Popen(
                tied(job.command, cores),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,  # Ctrl-C on the terminal must reach only the parent, which then stops its children
            )
            return Process(job, popen, began)

    def end(self, code: int) -> tuple[int | None, str]:
        """What its return code means: the exit code of the job, None if it was killed, and the reason in one line.

        The reason is the error message of the command line, else the last line of output, else how the process ended.
        """
        if code < 0:
            return _ASKED.get(code), f"ended by {signal.Signals(-code).name}"
        with self.job.log.open("rb") as log:
            log.seek(self.log_began)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line.removeprefix("adarts: ") for line in lines if line.startswith("adarts: ")]
        return code, (errors or lines or [f"exit code {code}"])[-1]
