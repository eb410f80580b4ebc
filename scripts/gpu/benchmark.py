#!/usr/bin/env python
"""Time and memory of a search step: the supernet, captured or not, in float32 and bfloat16, the textbook, and public code.

A step is an update of the logits and one of the weights, each with a batch of its own. The textbook (`tests/oracles`) and the
public PC-DARTS code (`--public FOLDER`, the one with `model_search.py`) run in their natural form: NCHW, float32, all gradients
in both updates. Results go to `benchmark.json` in `--out`; what is there already is not measured again, so that a call with a
`--time-limit` can be repeated until it says that all is done.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.config.loading import search_config
from adarts.data import ImageData, Images
from adarts.methods import get_method, published
from adarts.searching import SearchTask, build_supernet
from adarts.updates import fix_arithmetic

REPOSITORY = Path(__file__).resolve().parents[2]
CLASSES = 10
METHODS = {
    "adarts": {"selector": "attention", "k": 4, "attention": True},
    "pc-darts": {"selector": "first", "k": 4, "attention": False, "normalisation": True},
    "darts": {"selector": "all", "k": 1, "attention": False},
}
"""The textbook's designs of the methods that are measured."""

Step = Callable[[int], object]


def ours(options: argparse.Namespace, device: torch.device, method: str, precision: str, capture: bool) -> Step:
    """A step of the package, from the images in memory to the moved parameters."""
    config = search_config(
        published,
        method=method,
        supernet={"channels": options.channels, "cells": options.cells},
        search={"epochs": 2, "batch_size": options.batch, "warmup_epochs": 0},
        run={"precision": precision, "capture": capture},
    )
    random = torch.Generator().manual_seed(0)
    size = (8 * options.batch, 3, options.size, options.size)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8, generator=random)
    images = Images(pixels, torch.arange(len(pixels)) % CLASSES)
    names = tuple(str(number) for number in range(CLASSES))
    data = ImageData("random", names, images, images.select(torch.arange(CLASSES)), (0.5,) * 3, (0.25,) * 3)
    task = SearchTask(config, data, build_supernet(config, data).to(device), get_method(method)(), device)
    return lambda number: task.step(0, number % task.steps(0))


def theirs(options: argparse.Namespace, device: torch.device, net: nn.Module, logits: list[Tensor]) -> Step:
    """A step of code that knows nothing of the package: the two updates of DARTS of first order, written down plainly."""
    chosen = {id(parameter) for parameter in logits}
    weights = [parameter for parameter in net.parameters() if id(parameter) not in chosen]
    sgd = torch.optim.SGD(weights, 0.025, 0.9, weight_decay=3e-4)
    adam = torch.optim.Adam(logits, 6e-4, (0.5, 0.999), weight_decay=1e-3)
    size = (2, options.batch, 3, options.size, options.size)
    x = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(device)
    y = (torch.arange(options.batch) % CLASSES).to(device)

    def step(number: int) -> None:
        for part, optimiser in enumerate((adam, sgd)):
            sgd.zero_grad()
            adam.zero_grad()
            F.cross_entropy(net(x[part]), y).backward()
            if optimiser is sgd:
                nn.utils.clip_grad_norm_(weights, 5.0)
            optimiser.step()

    return step


def textbook(options: argparse.Namespace, device: torch.device, method: str) -> Step:
    sys.path.insert(0, str(REPOSITORY / "tests" / "oracles"))
    from textbook import TextbookSupernet

    net = TextbookSupernet(options.channels, options.cells, CLASSES, **METHODS[method]).to(device)
    return theirs(options, device, net, list(net.logits.values()))


def public(options: argparse.Namespace, device: torch.device) -> Step:
    """The network of the public PC-DARTS code; it was written for a GPU, and asks for one wherever it makes a tensor."""
    sys.path.insert(0, str(options.public))
    if device.type == "cpu":
        Tensor.cuda = lambda tensor, *_, **__: tensor  # type: ignore[method-assign]
        nn.Module.cuda = lambda module, *_, **__: module  # type: ignore[method-assign]
    network = importlib.import_module("model_search").Network
    net = network(options.channels, CLASSES, options.cells, nn.CrossEntropyLoss()).to(device)
    return theirs(options, device, net, net.arch_parameters())


def variants(options: argparse.Namespace, device: torch.device) -> Iterator[tuple[dict[str, Any], Callable[[], Step]]]:
    """What is measured, and how to make it."""
    captures = (True, False) if device.type == "cuda" else (False,)
    for method in options.methods:
        for precision in ("float32", "bfloat16"):
            for capture in captures:
                facts = {"code": "adarts", "method": method, "precision": precision, "captured": capture}
                yield facts, lambda m=method, p=precision, c=capture: ours(options, device, m, p, c)
        facts = {"code": "textbook", "method": method, "precision": "float32", "captured": False}
        yield facts, lambda m=method: textbook(options, device, m)
    if options.public is not None:
        facts = {"code": "public PC-DARTS", "method": "pc-darts", "precision": "float32", "captured": False}
        yield facts, lambda: public(options, device)


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


def main() -> int:
    options, begin = parse(), time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fix_arithmetic(device)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "benchmark.json"
    settings = {name: getattr(options, name) for name in ("batch", "channels", "cells", "size")}
    settings["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    settings["torch"] = torch.__version__
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
