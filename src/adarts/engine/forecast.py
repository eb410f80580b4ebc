"""What is said of a run before it begins: facts in a table, and what it will cost, by a few of its own steps."""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Iterable, Sequence

import torch

from adarts.engine import Task
from adarts.engine.capture import WARM_UP
from adarts.errors import NotFiniteError


def titled_rows(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title, and under it one line a row with the names in a column of their own."""
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows)])


def forecast(task: Task, device: torch.device, plan: Iterable[tuple[int, int]]) -> str:
    """The time of a whole run and its peak of memory so far; a few steps are measured and undone.

    Args:
        task: what will be carried out.
        device: that it runs on.
        plan: what the run consists of: an epoch whose steps are typical, and how many steps there are of its kind.

    Returns:
        "not known" when a step fails; the run itself meets the same failure and knows what to do.
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
        return "not known"
    finally:
        task.load_state_dict(before)
    if device.type == "cuda":
        memory = torch.cuda.max_memory_allocated(device)
    else:  # Linux counts in KiB, macOS in bytes
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    time_needed = f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.1f} minutes"
    return f"{time_needed}, {memory / 2**30:.1f} GiB of memory"
