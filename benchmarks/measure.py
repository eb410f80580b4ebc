"""Shared helpers of the benchmarks: interleaved timing, peak memory, and the conditions of a measurement.

Run as a program it is the child that measures one peak: it reads the step as JSON and prints bytes
(:mod:`adarts.engine.footprint` says which).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import torch
from steps import Design, Step
from torch.utils.benchmark import timer

from adarts import kernels
from adarts.config.settings import RunSettings
from adarts.engine import environment, footprint, prepare_device
from adarts.engine.capture import WARM_UP


def parser(text: str | None) -> argparse.ArgumentParser:
    """The options of all scripts."""
    options = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--channels", type=int, default=16, help="of the first cells")
    options.add_argument("--cells", type=int, default=8)
    options.add_argument("--batch", type=int, default=32, help="images of each update")
    options.add_argument("--size", type=int, default=32, help="side of the images")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    options.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    options.add_argument("--repeats", type=int, default=5, help="rounds that count")
    return options


def warm_up(device: torch.device) -> int:
    """Warm-up rounds: one, or, on a GPU, all rounds up to and including the capture of a step."""
    return WARM_UP + 2 if device.type == "cuda" else 1


def in_turn(steps: Mapping[str, Step], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Run every step once per round, in the same order, so that a slower machine affects all of them.

    Returns:
        The seconds of each step in the rounds after the warm-up.
    """
    rounds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(-warm_up(device), repeats):
        for name, step in steps.items():
            begin = timer()  # waits for a GPU
            step()
            seconds = timer() - begin
            print(f"{'warm-up' if number < 0 else f'round {number + 1}'}: {name} {seconds:.3f} s", file=sys.stderr)
            if number >= 0:
                rounds[name].append(seconds)
    return rounds


def ratio(first: Sequence[float], second: Sequence[float]) -> tuple[float, list[float]]:
    """The ratio of the medians, and the smallest and largest ratio within a round, as its uncertainty."""
    each = [a / b for a, b in zip(first, second, strict=True)]
    return median(first) / median(second), [min(each), max(each)]


def peak(design: Design, device: torch.device) -> int:
    """Peak memory of a step in bytes, measured in its own process, because earlier steps affect the allocator."""
    threads = torch.get_num_threads()
    job = {"design": asdict(design), "device": str(device), "threads": threads}
    child_environment = {**os.environ, **footprint.MALLOC, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment,
        check=True,
    )
    return int(done.stdout)


def seconds(function: Step, count: int) -> float:
    """Mean seconds of a call in a block of `count`, including the wait for the GPU."""
    begin = timer()
    for _ in range(count):
        function()
    return (timer() - begin) / count


def ceilings(device: torch.device) -> dict[str, float]:
    """Bytes per second (read and written) of a copy on the device, and floating-point operations per second of a product."""
    gpu = device.type == "cuda"
    random = torch.Generator(device).manual_seed(0)
    source = torch.randint(0, 256, (1 << (32 if gpu else 27),), dtype=torch.uint8, device=device, generator=random)
    target = torch.empty_like(source)
    found = {"copy_bytes_per_second": 2 * len(source) / best(lambda: target.copy_(source))}
    side = 8192 if gpu else 512
    for precision in (torch.float32, torch.bfloat16):
        a, b = torch.randn(2, side, side, device=device, generator=random).to(precision).unbind()
        name = f"matmul_{str(precision).removeprefix('torch.')}_flops"
        found[name] = 2 * side**3 / best(lambda a=a, b=b: a @ b)
    return found


def best(function: Step) -> float:
    seconds(function, 3)
    return median(seconds(function, 5) for _ in range(5))


def provenance(device: torch.device) -> dict[str, Any]:
    """Machine, versions, commit, threads, kernels and command."""
    command = shlex.join(["python", *sys.argv])
    return {**environment(device), "kernels": kernels.status().detail, "command": command}


def main() -> None:
    """The child."""
    job = json.load(sys.stdin)
    device = prepare_device(RunSettings(device=job["device"], threads=job["threads"]))
    design = Design(**job["design"])
    idle = footprint.idle(device)
    step = design.step(device)
    for _ in range(1 + warm_up(device)):  # the optimizers have their state from the first step on
        step()
    peak = footprint.largest(device)
    assert idle is not None and peak is not None
    print(max(0, peak - idle))


if __name__ == "__main__":
    main()
