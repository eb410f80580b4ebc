#!/usr/bin/env python
"""Time and memory of our search step, design beside design: prints a table, and with --json writes every round.

    python benchmarks/search_step.py --methods darts adarts darts-random
    python benchmarks/search_step.py --methods adarts --k 1 2 4 8
    python benchmarks/search_step.py --methods darts --active 8 5 3 1

All combinations take turns, and are compared with the first. docs/methods.md is made of the second to last line with all methods
and of the last (`scripts/methods_page.py`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from measure import in_turn, parser, peak, provenance, ratio
from steps import Design

from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--methods", nargs="+", default=["adarts"], help="`adarts methods` lists them")
    options.add_argument("--k", nargs="+", type=int, default=[None], help="one in k channels enters the operations")
    options.add_argument("--active", nargs="+", type=int, default=[None], help="operations of every edge, drawn once")
    options.add_argument("--precision", nargs="+", default=["float32"], help="float32 or bfloat16")
    options.add_argument("--json", type=Path, help="file for all figures and their provenance")
    return options.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    sizes = {name: getattr(options, name) for name in ("channels", "cells", "batch", "size")}
    varied = ("method", "k", "active", "precision")
    values = (options.methods, options.k, options.active, options.precision)
    designs = [Design(**dict(zip(varied, chosen, strict=True)), **sizes) for chosen in itertools.product(*values)]
    named = {
        ", ".join(str(getattr(one, name)) for name, of in zip(varied, values, strict=True) if len(of) > 1): one
        for one in designs
    }
    for one in designs:
        one.config()  # what cannot work is refused before anything is measured
    device = prepare_device(RunSettings(device=options.device, threads=options.threads))
    rounds = in_turn({name: one.step(device) for name, one in named.items()}, options.repeats, device)
    first, *_ = named
    records: list[dict[str, Any]] = []
    for name, one in named.items():
        over, within = ratio(rounds[name], rounds[first])
        memory = peak(one, device)
        record = {
            "label": name or one.method,
            "active": one.active,
            "variant": asdict(one) | {"k": one.config().edge.k},
        }
        record |= {
            "seconds": median(rounds[name]),
            "rounds": rounds[name],
            "time_ratio": over,
            "time_ratio_range": within,
        }
        record |= {"memory": memory, "memory_ratio": memory / (records[0]["memory"] if records else memory)}
        records.append(record)
    settings = {"repeats": options.repeats, "threads": options.threads}
    return {"provenance": provenance(device), "settings": settings, "results": records}


def main() -> int:
    options = parse()
    try:
        found = measure(options)
    except AdartsError as error:
        print("search_step:", error, file=sys.stderr)
        return error.exit_code
    for one in found["results"]:
        low, high = one["time_ratio_range"]
        print(
            f"{one['label']:24} {one['seconds']:8.3f} s  {one['time_ratio']:5.2f} ({low:.2f} to {high:.2f})  "
            f"{one['memory'] / 1e6:8,.0f} MB  {one['memory_ratio']:.2f}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
