"""The actor that runs one job on a node of a Ray cluster."""

from __future__ import annotations

import os
import threading

from adarts.sweeping.executors.node import NodeJob


class JobActor:
    """Runs a job from its construction on, and ends with it.

    A method that the driver calls would be lost with the driver if the actor still waits for a node.

    Args:
        job: the job.
    """

    def __init__(self, job: NodeJob) -> None:
        self._job = job
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Ask the job to stop at a checkpoint."""
        self._job.stop()

    def _run(self) -> None:
        try:
            self._job()
        finally:
            os._exit(0)  # frees the CPUs and GPUs
