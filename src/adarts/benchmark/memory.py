"""The peak of memory of a step, each measured in a process of its own.

On a CPU that is the largest resident set while the steps run, above that of the idle process with the package imported. The
child's allocator gives every freed block of 64 KiB or more back at once and does not adapt that threshold, so that the
resident set follows the tensors. On CUDA it is what torch's allocator had given out at most.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adarts.engine.capture import WARM_UP
from adarts.errors import AdartsError, OutOfMemoryError

STEPS = 2
"""Steps of a child: the optimizers have their state from the first one on. On a GPU the first ones come before the capture."""
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""The allocator's settings in a child; glibc's names, others ignore them."""

_OUT_OF_MEMORY = OutOfMemoryError.exit_code
_KILLED = -9
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Peak:
    """Bytes: of the idle process (0 on CUDA), and what the steps needed above it."""

    idle: int
    above: int

    @property
    def total(self) -> int:
        return self.idle + self.above


def peak_in_child(command: Sequence[str], job: Mapping[str, Any], threads: int) -> Peak:
    """Run a program that reads the job as JSON and prints a :class:`Peak`, as :func:`report_peak` does.

    Args:
        command: the program.
        job: what it is sent on its standard input.
        threads: of the child.

    Raises:
        OutOfMemoryError: the child had too little memory.
        AdartsError: it failed otherwise; its last line.
    """
    environment = {**os.environ, **MALLOC, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, env=environment, check=False)
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if done.returncode in (_OUT_OF_MEMORY, _KILLED):
        raise OutOfMemoryError(f"too little memory for {job.get('label') or 'a step'}: {last}")
    if done.returncode:
        raise AdartsError(f"the process that measures memory failed: {last}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def peak_of(kind: str, variant: Any, device: torch.device, threads: int) -> Peak:
    """The peak of a variant's steps.

    Args:
        kind: of :data:`adarts.benchmark.child.KINDS`.
        variant: a dataclass of plain data.
        device: where it runs.
        threads: of the child.
    """
    command = [sys.executable, "-m", "adarts.benchmark.child"]
    job = {"kind": kind, "variant": asdict(variant), "device": str(device), "threads": threads, "label": variant.label}
    return peak_in_child(command, job, threads)


def report_peak(make_step: Callable[[], Callable[[], object]], device: torch.device) -> None:
    """In the child: make and do a few steps, and print the peak.

    Args:
        make_step: builds what is measured, and returns what does one step of it.
        device: where it runs.
    """
    peak = _cuda_peak(make_step, device) if device.type == "cuda" else _cpu_peak(make_step)
    print(json.dumps(asdict(peak)))


def _cuda_peak(make_step: Callable[[], Callable[[], object]], device: torch.device) -> Peak:
    step = make_step()
    for _ in range(WARM_UP + STEPS):
        step()
    torch.cuda.synchronize(device)
    return Peak(0, torch.cuda.max_memory_allocated(device))


def _cpu_peak(make_step: Callable[[], Callable[[], object]]) -> Peak:
    _load_the_rest_of_torch()
    idle = _idle()
    step = make_step()
    for _ in range(STEPS):
        step()
    return Peak(idle, max(0, _largest() - idle))


def _load_the_rest_of_torch() -> None:
    """Carry out one tiny update: what torch loads at its first one, about 100 MB, belongs to the idle process."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 2)
    )
    for optimizer in (torch.optim.SGD(network.parameters(), 0.1, 0.9), torch.optim.Adam(network.parameters())):
        network(torch.ones(2, 1, 4, 4)).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()


def _idle() -> int:
    """The resident set. Imports leave a peak of their own; where the system lets us, it is first set back to what is in use."""
    with suppress(OSError):
        _CLEAR.write_text("5")
    return _largest()


def _largest() -> int:
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) * 1024
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
