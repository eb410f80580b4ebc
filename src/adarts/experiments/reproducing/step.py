"""Time and memory of the search steps of several configurations.

Run as a program, it reads pairs of a configuration file and a file for the figures:

    python -P step.py CONFIG FIGURES [CONFIG FIGURES]...

Every configuration is measured in a process of its own, forked before torch has computed anything, because earlier steps affect
the allocator. On a CPU the memory is the largest resident set while the steps run, above that of the process before it built the
supernet; the allocator gives freed blocks back at once (`MALLOC`). On a GPU it is what torch's allocator had given out at most.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch
from torch import nn

from adarts.config.loading import read_config_file
from adarts.config.settings import SearchConfig
from adarts.data import load_images
from adarts.engine import prepare_device
from adarts.engine.files import to_json, write_atomically
from adarts.engine.forecast import seconds_per_step
from adarts.methods import create
from adarts.searching import SearchTask

MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Environment variables of the process that measures."""

_TIMED = 3
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(config: SearchConfig, figures: Path) -> None:
    """Measure the typical step of a search, after its warm-up, and write the figures."""
    device = prepare_device(config.run)
    data = load_images(config.data, config.images, config.seed)
    if device.type == "cpu":
        _load_the_rest_of_torch()
        with suppress(OSError):  # imports leave a peak of their own
            _CLEAR.write_text("5")
    idle = _largest(device)
    task = SearchTask(config, data, create(config), device)
    epoch = task.phases[0].warmup_epochs
    seconds = [seconds_per_step(task, device, epoch) for _ in range(_TIMED)]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    found = {"seconds": median(seconds), "memory": max(0, _largest(device) - idle), "device": name}
    figures.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(figures, to_json(found))


def main(words: Sequence[str]) -> int:
    """Measure all; the exit code is 1 if a measurement failed."""
    failed = 0
    for config, figures in zip(words[::2], words[1::2], strict=True):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                measure(SearchConfig.model_validate(read_config_file(Path(config), of_a_run=True)), Path(figures))
                code = 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        failed |= os.waitpid(child, 0)[1] != 0
    return int(failed)


def _load_the_rest_of_torch() -> None:
    """Run one tiny update, so that what torch loads in its first update counts as idle memory."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    for optimizer in (torch.optim.SGD(network.parameters(), 0.1, 0.9), torch.optim.Adam(network.parameters())):
        network(torch.ones(2, 1, 4, 4)).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()


def _largest(device: torch.device) -> int:
    """Bytes at most so far, of the process or on the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    except OSError:  # no Linux
        found = None
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
