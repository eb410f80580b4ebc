#!/usr/bin/env python
"""A search step on a GPU: its time, its peak of memory, its kernels, and what the machine could do at best.

    python benchmarks/gpu.py --out DIR --public PC-DARTS --budget-s 240

The most important comes first, and `DIR/gpu.json` is written after each result, so that whatever ends the program loses nothing
that was measured: the same command measures what is missing. `DIR/kernels.txt` has the longest kernels. A step of ours is one of
many that run ahead of the GPU; the textbook and the public code look at their loss after every update, as their loops do. Without
a GPU everything runs on the CPU, to try it out: `--device cpu --batch 4 --channels 8 --cells 3 --size 16`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from measure import ceilings, parser, provenance, seconds, warm_up
from steps import Design, Step
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import timer

from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.engine.files import write_atomically
from adarts.engine.update import fix_arithmetic
from adarts.errors import AdartsError, ConfigError
from adarts.launch import INTERRUPTED

SECONDS_OF_A_REPEAT = 0.4
MACHINE = ("device", "cpu", "cores", "torch", "cuda", "git_commit", "threads")
"""What results in one file must have in common."""


def cases(adarts: Design, public: Path | None) -> Iterator[tuple[str, Design, bool]]:
    """Name, step, and whether its kernels are counted; ADARTS at K = 4 first."""
    pc, darts = replace(adarts, method="pc-darts"), replace(adarts, method="darts")
    yield "adarts float32 graphs", adarts, True
    yield "adarts float32 graphs, torch's operators", replace(adarts, kernels="torch"), True
    yield "adarts bfloat16 graphs", replace(adarts, precision="bfloat16"), True
    yield "adarts float32 textbook", replace(adarts, code="textbook"), True
    yield "pc-darts float32 graphs", pc, True
    if public is not None:
        yield "pc-darts float32 public", replace(pc, code=str(public)), True
    yield "adarts float32 eager", replace(adarts, capture=False), True
    yield "darts float32 graphs", darts, True
    yield "darts float32 textbook", replace(darts, code="textbook"), True
    yield "adarts bfloat16 eager", replace(adarts, precision="bfloat16", capture=False), True
    yield "adarts float32 eager, torch's operators", replace(adarts, kernels="torch", capture=False), True
    large = replace(pc, batch=round(adarts.batch * 256 / 96))
    yield f"pc-darts float32 graphs batch {large.batch}", large, False
    if public is not None:
        yield f"pc-darts float32 public batch {large.batch}", replace(large, code=str(public)), False
        for one in (pc, large):  # with all that its own loop allows cuDNN
            yield f"pc-darts tf32 public batch {one.batch}", replace(one, code=str(public), precision="tf32"), False
    yield f"pc-darts bfloat16 graphs batch {large.batch}", replace(large, precision="bfloat16"), False
    for k in (1, 2, 8):
        yield f"adarts K={k} float32 graphs", replace(adarts, k=k), False
    yield "pc-darts bfloat16 graphs", replace(pc, precision="bfloat16"), False
    yield "darts float32 graphs, torch's operators", replace(darts, kernels="torch"), False
    yield "darts bfloat16 graphs", replace(darts, precision="bfloat16"), False
    yield "darts float32 eager", replace(darts, capture=False), False
    for k in (1, 2, 8):
        yield f"adarts K={k} bfloat16 graphs", replace(adarts, k=k, precision="bfloat16"), False
    yield "pc-darts float32 textbook", replace(pc, code="textbook"), False


def measure(design: Design, device: torch.device, most: int, end: float) -> tuple[dict[str, Any], Step]:
    """Seconds of a step, each repeat the mean over a block of steps, and on a GPU the peak of memory; and the step itself."""
    gpu = device.type == "cuda"
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device) if gpu else 0
    step = design.step(device)
    seconds(step, warm_up(device) if design.code == "adarts" and design.capture else 2)
    count = max(1, min(20, round(SECONDS_OF_A_REPEAT / seconds(step, 1))))
    repeats: list[float] = []
    while len(repeats) < most and not (repeats and time.perf_counter() > end):
        repeats.append(seconds(step, count))
    record = {
        "seconds": statistics.median(repeats),
        "repeats": [round(value, 6) for value in repeats],
        "steps_a_repeat": count,
        "peak_bytes": torch.cuda.max_memory_allocated(device) - before if gpu else None,
        "reserved_bytes": torch.cuda.max_memory_reserved(device) if gpu else None,
    }
    return record, step


def kernels_of(step: Step, device: torch.device) -> tuple[dict[str, float], str]:
    """How many kernels and copies a step consists of and how long they run, by torch's profiler; and a table of them."""
    kind = device.type.upper()
    with profile(activities=[getattr(ProfilerActivity, kind)]) as profiled:
        step()
        timer()
    rows = [
        (event.self_device_time_total if kind == "CUDA" else event.self_cpu_time_total, event.count, event.key[:160])
        for event in profiled.key_averages()
        if event.device_type.name == kind and not event.key.startswith(("Optimizer.", "ProfilerStep"))
    ]
    copies = sum(count for _, count, name in rows if name.startswith(("Memcpy", "Memset")))
    found = {
        "kernels": sum(count for _, count, _ in rows) - copies,
        "copies": copies,
        "kernel_seconds": sum(microseconds for microseconds, _, _ in rows) / 1e6,
    }
    lines = [
        f"{microseconds / 1e3:9.3f} ms {count:6d}  {name}" for microseconds, count, name in sorted(rows)[::-1][:60]
    ]
    return found, "\n".join(lines) + "\n"


def before(folder: Path, here: dict[str, Any]) -> dict[str, Any]:
    """What an earlier call measured, without what failed.

    Raises:
        ConfigError: it was another machine, or other software.
    """
    file = folder / "gpu.json"
    if not file.exists():
        (folder / "kernels.txt").unlink(missing_ok=True)
        return {"provenance": here, "ceilings": None, "results": []}
    found: dict[str, Any] = json.loads(file.read_bytes())
    other = [name for name in MACHINE if found["provenance"].get(name) != here[name]]
    if other:
        raise ConfigError(f"{file} was measured with another {' and '.join(other)}; choose another --out")
    return {**found, "results": [record for record in found["results"] if "error" not in record]}


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.set_defaults(batch=96)
    options.add_argument("--out", type=Path, required=True, help="folder of the results")
    options.add_argument("--public", type=Path, help="folder of the public PC-DARTS code, with its model_search.py")
    options.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="cases whose name has one of these in it"
    )
    options.add_argument("--budget-s", type=float, default=240, help="begin nothing after so many seconds")
    return options.parse_args()


def run(options: argparse.Namespace) -> int:
    """Measure what is missing; the exit code is 0, or that of an interrupted run if the budget is used up before."""
    device = prepare_device(RunSettings(device=options.device, threads=options.threads))
    fix_arithmetic(device)
    end = time.perf_counter() + options.budget_s
    design = Design(batch=options.batch, channels=options.channels, cells=options.cells, size=options.size)
    chosen = [case for case in cases(design, options.public) if any(text in case[0] for text in options.only)]
    for _, one, _ in chosen:
        if one.code == "adarts":
            one.config()  # what cannot work is refused before anything is measured
    options.out.mkdir(parents=True, exist_ok=True)
    found = before(options.out, provenance(device))
    results = found["results"]
    measured = [(record["name"], record["design"]) for record in results]
    chosen = [case for case in chosen if (case[0], asdict(case[1])) not in measured]

    def save() -> None:
        write_atomically(options.out / "gpu.json", (json.dumps(found, indent=1) + "\n").encode())

    if found["ceilings"] is None:
        found["ceilings"] = ceilings(device)
    print("  ".join(f"{name} {value:.4g}" for name, value in found["ceilings"].items()), flush=True)
    save()
    for number, (name, one, counted) in enumerate(chosen):
        if time.perf_counter() > end:
            print(f"the budget is used up; not measured: {', '.join(name for name, _, _ in chosen[number:])}")
            return INTERRUPTED[1]
        try:
            record, step = measure(one, device, options.repeats, end)
            results.append({"name": name, **record, "design": asdict(one)})
            save()
            if counted:
                figures, table = kernels_of(step, device)
                results[-1] |= figures
                with (options.out / "kernels.txt").open("a") as file:
                    file.write(f"{name}\n{table}\n")
                save()
        except (RuntimeError, AdartsError, ImportError) as error:  # one that fails must not cost those after it
            results.append({"name": name, "error": f"{type(error).__name__}: {error}"})
            save()
        print(_line(results[-1]), flush=True)
        record = step = None
    print("all is measured")
    return 0


def _line(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"{record['name']:40} {record['error'][:160]}"
    line = f"{record['name']:40} {1e3 * record['seconds']:9.2f} ms  {(record['peak_bytes'] or 0) / 1e6:8,.0f} MB"
    return line + (f"  {record['kernels']:6,} kernels" if "kernels" in record else "")


def main() -> int:
    try:
        return run(parse())
    except AdartsError as error:
        print("gpu:", error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
