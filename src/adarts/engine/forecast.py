"""What a run will cost, said before it begins: a few of its own steps, measured and undone."""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from adarts.engine import Task
from adarts.engine.capture import WARM_UP
from adarts.errors import NotFiniteError


@dataclass(frozen=True)
class Forecast:
    """Seconds of the whole run, and the peak of memory in bytes so far."""

    seconds: float
    memory: int

    def __str__(self) -> str:
        minutes = self.seconds / 60
        whole = f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.1f} minutes"
        return f"{whole}, {self.memory / 2**30:.1f} GiB of memory"


def forecast(task: Task, device: torch.device, plan: Iterable[tuple[int, int]]) -> Forecast | None:
    """Measure a few steps of the task and put everything back as it was.

    Args:
        task: what will be carried out.
        device: that it runs on.
        plan: what the run consists of: an epoch whose steps are typical, and how many steps there are of its kind.

    Returns:
        The forecast, or None when a step fails; the run itself meets the same failure and knows what to do.
    """
    before = copy.deepcopy(task.state_dict())
    seconds = 0.0
    untimed = WARM_UP + 1 if device.type == "cuda" else 1  # on a GPU, the steps after the capture are the typical ones
    try:
        for epoch, count in plan:
            for number in range(untimed + 1 if count else 0):
                begin = time.perf_counter()
                task.step(epoch, 0)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if number == untimed:
                    seconds += count * (time.perf_counter() - begin)
    except (RuntimeError, MemoryError, NotFiniteError):
        return None
    finally:
        task.load_state_dict(before)
    if device.type == "cuda":
        return Forecast(seconds, torch.cuda.max_memory_allocated(device))
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Forecast(seconds, peak * (1 if sys.platform == "darwin" else 1024))
