#!/usr/bin/env python
"""Time and memory of a search step: the supernet, captured or not, in float32 and bfloat16, the textbook, and public code.

A step is an update of the alphas and one of the weights, each with a batch of its own. The textbook (`tests/oracles`) and the
public PC-DARTS code (`--public FOLDER`, the one with `model_search.py`) run in their natural form: NCHW, float32, all gradients
in both updates. Results go to `benchmark.json` in `--out`; what is there already is not measured again, so that a call with a
`--time-limit` can be repeated until it says that all is done. Other settings or another commit want another `--out`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from adarts.benchmark.subjects import synthetic
from adarts.benchmark.variants import NUMBERS, Variant
from adarts.engine import environment
from adarts.engine.updates import fix_arithmetic
from adarts.errors import ConfigError
from adarts.methods import create
from adarts.searching import SearchTask

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from yardsticks import PlainStep, public_step, textbook_step  # noqa: E402

METHODS = ("adarts", "pc-darts", "darts")
COUNTS = {"warmup": 0, "steps": 1, "repeats": 1}
"""How the time is taken, and the least that each can be."""

Step = Callable[[int], object]


def ours(variant: Variant, device: torch.device) -> Step:
    """A step of the package, from the images in memory to the moved parameters, in one of many that run ahead of the GPU."""
    config = variant.config()
    data = synthetic(8 * variant.batch, variant.size)
    task = SearchTask(config, data, create(config), device)
    return lambda number: task.step(0, number % task.steps(0))


def theirs(plain: PlainStep) -> Step:
    """A step of code that knows nothing of the package."""

    def step(_: int) -> None:
        plain.update_alphas()
        plain.update_weights()

    return step


def variants(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[dict[str, Any], Callable[[], Step]]]:
    """What is measured, and how to make it: what is slow and compares nothing with others comes last."""
    sizes = {name: getattr(options, name) for name in NUMBERS}
    designs = [Variant(method=method, **sizes) for method in options.methods]

    def of_ours(capture: bool) -> Iterator[tuple[dict[str, Any], Callable[[], Step]]]:
        for design in designs:
            for precision in ("float32", "bfloat16"):
                facts = {"code": "adarts", "method": design.method, "precision": precision, "captured": capture}
                variant = replace(design, precision=precision, capture="yes" if capture else "no")
                yield facts, lambda v=variant: ours(v, device)

    plain = {"precision": "float32", "captured": False}
    if device.type == "cuda":
        yield from of_ours(capture=True)
    for design in designs:
        yield {"code": "textbook", "method": design.method, **plain}, lambda d=design: theirs(textbook_step(d, device))
    if options.public is not None:
        public = Variant(method="pc-darts", **sizes)
        facts = {"code": "public PC-DARTS", "method": "pc-darts", **plain}
        yield facts, lambda: theirs(public_step(options.public, public, device))
    yield from of_ours(capture=False)


def measure(make: Callable[[], Step], options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Seconds of a step, each repeat the mean over a block of steps, and on a GPU the peak of memory."""
    gpu = device.type == "cuda"
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device) if gpu else 0
    step, number, seconds = make(), 0, []
    for repeat in range(-1, options.repeats):
        steps = options.steps if repeat >= 0 else options.warmup
        begin = time.perf_counter()
        for _ in range(steps):
            step(number)
            number += 1
        if gpu:
            torch.cuda.synchronize(device)
        if repeat >= 0:
            seconds.append((time.perf_counter() - begin) / steps)
    return {
        "seconds": statistics.median(seconds),
        "repeats": [round(value, 6) for value in seconds],
        "steps_a_repeat": options.steps,
        "peak_bytes": torch.cuda.max_memory_allocated(device) - before if gpu else None,
        "reserved_bytes": torch.cuda.max_memory_reserved(device) if gpu else None,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--public", type=Path, help="folder with the public PC-DARTS code")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["adarts", "pc-darts"])
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--size", type=int, default=32, help="side of the images")
    parser.add_argument(
        "--warmup", type=int, default=8, help="steps before the first repeat; the capture is among them"
    )
    parser.add_argument("--steps", type=int, default=20, help="of a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--time-limit", type=float, default=float("inf"), help="begin nothing after so many seconds")
    return parser.parse_args()


def require_possible(options: argparse.Namespace) -> None:
    """Refuse numbers that cannot work before anything is measured.

    Raises:
        ConfigError: one of them cannot.
    """
    for name, least in COUNTS.items():
        if (value := getattr(options, name)) < least:
            raise ConfigError(f"--{name} must be at least {least}, not {value}")
    for method in options.methods:
        Variant(method=method, **{name: getattr(options, name) for name in NUMBERS}).config()


def main() -> int:
    options, begin = parse(), time.monotonic()
    try:
        require_possible(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fix_arithmetic(device)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "benchmark.json"
    now = environment(device)
    settings = {name: getattr(options, name) for name in (*NUMBERS, *COUNTS)}
    settings |= {"device": now["device"], "torch": now["torch"], "commit": now["git_commit"]}
    found = json.loads(file.read_text()) if file.exists() else {"settings": settings, "records": []}
    if found["settings"] != settings:
        print(
            f"{file} was measured with {found['settings']}, not with {settings}: choose another --out", file=sys.stderr
        )
        return 2
    for facts, make in variants(options, device):
        if any(facts.items() <= record.items() for record in found["records"]):
            continue
        if time.monotonic() - begin > options.time_limit:
            print("the time is up; call this again, with the same options, to go on", file=sys.stderr)
            return 143
        record = {**facts, **measure(make, options, device)}
        found["records"].append(record)
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(
            f"{1e3 * record['seconds']:9.2f} ms  {record['peak_bytes'] or 0:15,} bytes  {' '.join(map(str, facts.values()))}"
        )
    print(f"all is measured: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
