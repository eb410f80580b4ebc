#!/usr/bin/env python
"""How time and memory of a search step grow with its sizes, ours and the textbook's: prints a table, --json writes every round.

    python benchmarks/growth.py --repeats 3
    python benchmarks/growth.py --only batch k --repeats 3

One size varies at a time; the others are those of the options. All values of a size take turns. `exponent` is the slope of a
straight line through the logarithms: 1 is proportional growth, and a value below 1 says that a fixed part does not grow.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from measure import in_turn, parser, peak, provenance
from steps import Design

from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError

#: size -> the values that are measured
VALUES = {
    "k": (1, 2, 4, 8),
    "channels": (8, 16, 32),
    "cells": (4, 8, 16),
    "batch": (8, 16, 32),
    "size": (16, 32, 64),
}


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--method", default="adarts", help="whose design and updates")
    options.add_argument("--only", nargs="+", choices=VALUES, default=list(VALUES), help="the sizes that vary")
    options.add_argument("--json", type=Path, help="file for all figures and their provenance")
    options.set_defaults(batch=8)
    return options.parse_args()


def exponent(values: tuple[int, ...], measured: list[float]) -> float:
    """The power of the size with which a quantity grows, by least squares on logarithms."""
    return linear_regression([math.log(v) for v in values], [math.log(m) for m in measured]).slope


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    device = prepare_device(RunSettings(device=options.device, threads=options.threads))
    sizes = {name: getattr(options, name) for name in ("channels", "cells", "batch", "size")}
    middle = Design(method=options.method, **sizes)
    records = []
    for size in options.only:
        values = VALUES[size]
        designs = {
            f"{code}, {size} = {value}": replace(middle, code=code, **{size: value})
            for value in values
            for code in ("adarts", "textbook")
        }
        rounds = in_turn({name: one.step(device) for name, one in designs.items()}, options.repeats, device)
        for code in ("adarts", "textbook"):
            names = [name for name in designs if name.startswith(code)]
            seconds = [median(rounds[name]) for name in names]
            memory = [peak(designs[name], device) for name in names]
            record = {"size": size, "code": code, "values": values, "seconds": seconds, "memory": memory}
            record |= {"rounds": [rounds[name] for name in names]}
            record |= {"time_exponent": exponent(values, seconds), "memory_exponent": exponent(values, memory)}
            records.append(record)
    return records


def main() -> int:
    options = parse()
    try:
        records = measure(options)
    except AdartsError as error:
        print("growth:", error, file=sys.stderr)
        return error.exit_code
    for one in records:
        seconds = "  ".join(f"{s:.2f}" for s in one["seconds"])
        megabytes = "  ".join(f"{m / 1e6:,.0f}" for m in one["memory"])
        print(
            f"{one['size']:9} {one['code']:9} {one['time_exponent']:5.2f} (s: {seconds})  "
            f"{one['memory_exponent']:5.2f} (MB: {megabytes})"
        )
    if options.json is not None:
        device = prepare_device(RunSettings(device=options.device, threads=options.threads))
        found = {"provenance": provenance(device), "repeats": options.repeats, "results": records}
        options.json.write_text(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
