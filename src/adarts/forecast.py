"""What a run will cost, said before it begins: two of its own steps, measured and undone."""

from __future__ import annotations

import copy
import resource
import sys
import time
from dataclasses import dataclass

import torch

from adarts.errors import NotFiniteError
from adarts.runs import Task


@dataclass(frozen=True)
class Forecast:
    """Seconds of one step, and the peak of memory in bytes so far."""

    seconds: float
    memory: int

    def describe(self, steps: int) -> str:
        """For people, for a run of so many steps."""
        minutes = self.seconds * steps / 60
        whole = f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.1f} minutes"
        return f"{whole} at {self.seconds:.2f} s a step, {self.memory / 2**30:.1f} GiB of memory"


def forecast(task: Task, device: torch.device, epoch: int) -> Forecast | None:
    """Measure a step of the task and put everything back as it was.

    Args:
        task: what will be carried out.
        device: that it runs on.
        epoch: whose steps are typical of the run.

    Returns:
        The forecast, or None when the step fails; the run itself meets the same failure and knows what to do.
    """
    before = copy.deepcopy(task.state_dict())
    seconds = 0.0
    try:
        for _ in range(2):  # the first one warms up
            begin = time.perf_counter()
            task.step(epoch, 0)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - begin
    except (RuntimeError, MemoryError, NotFiniteError):
        return None
    finally:
        task.load_state_dict(before)
    if device.type == "cuda":
        return Forecast(seconds, torch.cuda.max_memory_allocated(device))
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Forecast(seconds, peak * (1 if sys.platform == "darwin" else 1024))
