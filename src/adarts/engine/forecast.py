"""The summary printed before a run starts: a table of facts, and time and memory predicted from a few steps."""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Iterable, Sequence

import torch

from adarts.engine import Task, parallel
from adarts.engine.capture import WARM_UP
from adarts.errors import NotFiniteError


def titled_rows(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Format rows of (name, value) as aligned lines under a title."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows)])


def seconds_per_step(task: Task, device: torch.device, epoch: int = 0, timed: int = 1) -> float:
    """Seconds of a typical step, the fastest of several, after steps that prepare it. All of them change the task.

    Args:
        task: the task.
        device: its device.
        epoch: an epoch with typical steps.
        timed: number of steps that are timed.
    """
    untimed = WARM_UP + 1 if device.type == "cuda" else 1  # on a GPU, typical steps come after the capture
    seconds: list[float] = []
    for _ in range(untimed + timed):
        begin = time.perf_counter()
        task.step(epoch, 0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[untimed:])


def predicted_seconds(task: Task, device: torch.device, plan: Iterable[tuple[int, int]]) -> float | None:
    """Predict the time of the whole run from a few steps, which are undone. None if a step fails.

    In a run of several processes, an error other than a loss that is not finite is raised.

    Args:
        task: the task.
        device: its device.
        plan: pairs of (epoch with typical steps, number of steps of this type).
    """
    before = copy.deepcopy(task.state_dict())
    try:
        return sum(count * seconds_per_step(task, device, epoch) for epoch, count in plan if count)
    except NotFiniteError:  # in all processes alike
        return None
    except (RuntimeError, MemoryError):
        if parallel.count() > 1:  # the others may be in the middle of this step
            raise
        return None
    finally:
        task.load_state_dict(before)


def forecast(task: Task, device: torch.device, plan: Iterable[tuple[int, int]]) -> str:
    """Predict the time of the whole run from a few steps, which are undone, and report the peak memory so far.

    Args:
        task: the task.
        device: its device.
        plan: pairs of (epoch with typical steps, number of steps of this type).

    Returns:
        The prediction, or "not known" if a step fails. The run will meet and handle the same failure.
    """
    seconds = predicted_seconds(task, device, plan)
    if seconds is None:
        return "not known"
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(device)
    else:  # Linux counts in KiB, macOS in bytes
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    time_needed = f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.1f} minutes"
    return f"{time_needed}, {memory / 2**30:.1f} GiB of memory"
