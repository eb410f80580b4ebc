#!/usr/bin/env python
"""The search step against the textbook's: prints one JSON line with `speedup` and `memory_ratio`.

    python benchmarks/against_textbook.py --batch 16 --repeats 3

Both updates of a step, interleaved in one process, medians after one round of warm-up; `speedup` is the textbook's median over
ours, `memory_ratio` our peak over the textbook's, each above the idle process and in a process of its own. The textbook
(`tests/oracles/textbook.py`) runs in its natural form: NCHW, all gradients in both updates. `--kernels auto,torch` or
`--recompute no,yes` measure several of ours at once: the first one gives the headline, `variants` has them all. `--public DIR`
adds the public PC-DARTS code (the folder with its `model_search.py`), all in the PC-DARTS design.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from yardsticks import public_step, textbook_step

from adarts.benchmark import Conditions
from adarts.benchmark.memory import Peak, peak_in_child, peak_of, report_peak
from adarts.benchmark.outcome import provenance, say_on_stderr
from adarts.benchmark.subjects import SearchStep
from adarts.benchmark.timing import Step, Times, in_turn
from adarts.benchmark.variants import Variant, grid
from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError, ConfigError


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; of the process if no words are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="whose design (default: adarts, with --public pc-darts)")
    parser.add_argument("--k", help="one in k channels enters the operations (default: the method's)")
    parser.add_argument("--channels", default="16", help="channels of the first cells")
    parser.add_argument("--cells", default="8", help="number of cells")
    parser.add_argument("--batch", default="32", help="images of each update")
    parser.add_argument("--size", default="32", help="side of the images")
    parser.add_argument("--kernels", default="auto", help="of ours: auto, torch, or both parted by a comma")
    parser.add_argument("--recompute", default="no", help="whether ours computes the cells again: no, yes, or both")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", help="CPU threads (default: one a core)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count")
    parser.add_argument("--warmup", type=int, help="rounds before them")
    parser.add_argument("--public", type=Path, help="folder with the public PC-DARTS code")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def variants_of(options: argparse.Namespace) -> list[Variant]:
    """Ours; they differ in kernels and recomputation alone."""
    names = ("channels", "cells", "batch", "size", "kernels", "recompute")
    chosen = {name: getattr(options, name) for name in names}
    method = options.method or ("adarts" if options.public is None else "pc-darts")
    variants = grid({"method": method, "edge.k": options.k, **chosen})
    if any("," in (text or "") for text in (options.method, options.k, *(chosen[name] for name in names[:4]))):
        raise ConfigError("only --kernels and --recompute take several values: the textbook has one design")
    if options.public is not None:
        if not (options.public / "model_search.py").is_file():
            raise ConfigError(f"--public: no model_search.py in {options.public}")
        if method != "pc-darts" or variants[0].k != 4:
            raise ConfigError("--public: the public code is PC-DARTS with K = 4; leave out --method and --k")
    return variants


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all, and return what is printed."""
    variants = variants_of(options)
    conditions = Conditions.of(options.device, options.threads, options.repeats, options.warmup)
    design, device = variants[0], conditions.device
    others: dict[str, Callable[[], Step]] = {"textbook": lambda: textbook_step(design, device)}
    if options.public is not None:
        others["public"] = lambda: public_step(options.public, design, device)
    ours = {f"ours {number}": variant for number, variant in enumerate(variants)}
    steps: dict[str, Step] = {name: make() for name, make in others.items()}
    steps |= {name: SearchStep(variant, device) for name, variant in ours.items()}
    timed = in_turn(steps, conditions.repeats, conditions.warmup, conditions.say)
    times = {name: parts["both"] for name, parts in timed.items()}
    del steps
    peaks: dict[str, Peak] = {}
    for name in (*others, *ours):
        conditions.say(f"memory: {name}")
        if name in ours:
            peaks[name] = peak_of("search", ours[name], device, conditions.threads)
        else:
            job = {"subject": name, "variant": asdict(design), "device": str(device), "label": name}
            job |= {"public": str(options.public), "threads": conditions.threads}
            peaks[name] = peak_in_child([sys.executable, __file__, "--child"], job, conditions.threads)
    records = [record(variant, name, times, peaks) for name, variant in ours.items()]
    result = {
        **{key: records[0][key] for key in ("speedup", "memory_ratio")},
        "method": design.method,
        "k": design.k,
        **{name: getattr(design, name) for name in ("channels", "cells", "batch", "size")},
        "threads": conditions.threads,
        "repeats": conditions.repeats,
        "textbook_seconds": times["textbook"].median,
        "textbook_rounds": list(times["textbook"].rounds),
        "textbook_memory": peaks["textbook"].above,
        "variants": records,
    }
    if "public" in times:
        public = times["public"]
        result |= {
            "public_seconds": public.median,
            "public_memory": peaks["public"].above,
            "textbook_over_public": times["textbook"].over(public),
            "textbook_over_public_range": times["textbook"].spread_over(public),
            "speedup_over_public": public.over(times["ours 0"]),
            "memory_ratio_to_public": peaks["ours 0"].above / peaks["public"].above,
        }
    command = shlex.join(["python", *sys.argv])
    return {**result, "provenance": {**provenance(device), "command": command}}


def record(variant: Variant, name: str, times: dict[str, Times], peaks: dict[str, Peak]) -> dict[str, Any]:
    """The figures of one of ours."""
    textbook, mine = times["textbook"], times[name]
    return {
        "kernels": variant.kernels,
        "recompute": variant.recompute,
        "speedup": textbook.over(mine),
        "speedup_range": textbook.spread_over(mine),
        "memory_ratio": peaks[name].above / peaks["textbook"].above,
        "seconds": mine.median,
        "rounds": list(mine.rounds),
        "memory": peaks[name].above,
    }


def measure_memory() -> None:
    """In a child: the peak of the textbook or of the public code."""
    job = json.load(sys.stdin)
    device = prepare_device(RunSettings(device=job["device"], threads=job["threads"]))
    variant = Variant(**job["variant"])
    if job["subject"] == "textbook":
        report_peak(lambda: textbook_step(variant, device), device)
    else:
        report_peak(lambda: public_step(Path(job["public"]), variant, device), device)


def main() -> int:
    options = parse()
    try:
        if options.child:
            measure_memory()
        else:
            result = compare(options)
            say_on_stderr("")
            print(json.dumps(result))
    except AdartsError as error:
        print("against_textbook:", error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
