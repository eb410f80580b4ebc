"""The memory that steps need, measured in a process of its own: its peak above that of the idle process.

On a CPU this is the largest resident set. With `MALLOC` in its environment, the allocator of the process gives every freed
block of 64 KiB or more back at once, so that the resident set follows the tensors. On a GPU it is what torch's allocator had
given out at most.
"""

from __future__ import annotations

import gc
import re
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Environment variables of the process that is measured."""

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def idle(device: torch.device) -> int | None:
    """The peak in bytes before the work begins; None where it is not known. Call it after all imports."""
    if device.type == "cpu":
        _load_the_rest_of_torch()
        gc.collect()  # what reading images left in cycles would be freed in the first step, and hide what this takes
        with suppress(OSError):  # imports leave a peak of their own
            _CLEAR.write_text("5")
    return largest(device)


def largest(device: torch.device) -> int | None:
    """Bytes at most so far, of the process or on the GPU; None where there is no `/proc`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _load_the_rest_of_torch() -> None:
    """Run one tiny update, so that the 100 MB that torch loads in its first update count as idle memory."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 2)
    )
    for optimizer in (torch.optim.SGD(network.parameters(), 0.1, 0.9), torch.optim.Adam(network.parameters())):
        network(torch.ones(2, 1, 4, 4)).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
