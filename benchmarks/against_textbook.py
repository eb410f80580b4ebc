#!/usr/bin/env python
"""The search step against the textbook's: prints one JSON line with `speedup` and `memory_ratio`.

    python benchmarks/against_textbook.py --batch 16 --repeats 3

Both updates of a step, interleaved in one process, medians after one round of warm-up; `speedup` is the textbook's median over
ours, `memory_ratio` our peak over the textbook's. `--kernels auto torch` or `--recompute no yes` measure several of ours: the
first gives the headline, `variants` has them all. `--public DIR` adds the public PC-DARTS code, all in the PC-DARTS design.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from measure import in_turn, parser, peak, provenance, ratio
from steps import Design

from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError, ConfigError


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--method", help="whose design (default: adarts, with --public pc-darts)")
    options.add_argument("--k", type=int, help="one in k channels enters the operations (default: the method's)")
    options.add_argument("--kernels", nargs="+", default=["auto"], choices=("auto", "torch"), help="of ours")
    options.add_argument(
        "--recompute", nargs="+", default=["no"], choices=("no", "yes"), help="compute our cells again"
    )
    options.add_argument("--public", type=Path, help="folder of the public PC-DARTS code, with its model_search.py")
    return options.parse_args()


def designs(options: argparse.Namespace) -> dict[str, Design]:
    """Everything that is measured, by name; ours first."""
    method = options.method or ("adarts" if options.public is None else "pc-darts")
    sizes = {name: getattr(options, name) for name in ("channels", "cells", "batch", "size")}
    one = Design(method=method, k=options.k, **sizes)
    ours = {
        f"ours, kernels {kind}, recompute {again}": replace(one, kernels=kind, recompute=again == "yes")
        for kind, again in itertools.product(options.kernels, options.recompute)
    }
    others = {"textbook": replace(one, code="textbook")}
    if options.public is not None:
        if not (options.public / "model_search.py").is_file():
            raise ConfigError(f"--public: no model_search.py in {options.public}")
        if method != "pc-darts" or one.config().edge.k != 4:
            raise ConfigError("--public: the public code is PC-DARTS with K = 4; leave out --method and --k")
        others["public"] = replace(one, code=str(options.public))
    return ours | others


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all, and return what is printed."""
    measured = designs(options)
    device = prepare_device(RunSettings(device=options.device, threads=options.threads))
    rounds = in_turn({name: design.step(device) for name, design in measured.items()}, options.repeats, device)
    peaks = {name: peak(design, device) for name, design in measured.items()}

    def record(name: str) -> dict[str, Any]:
        speedup, within = ratio(rounds["textbook"], rounds[name])
        return {
            "name": name,
            "speedup": speedup,
            "speedup_range": within,
            "memory_ratio": peaks[name] / peaks["textbook"],
            "seconds": median(rounds[name]),
            "rounds": rounds[name],
            "memory": peaks[name],
        }

    records = [record(name) for name in measured]
    facts = ("method", "channels", "cells", "batch", "size")
    first = next(iter(measured.values()))
    return {
        **{key: records[0][key] for key in ("speedup", "memory_ratio")},
        **{name: getattr(first, name) for name in facts},
        "k": first.config().edge.k,
        "threads": options.threads,
        "repeats": options.repeats,
        "variants": records,
        "provenance": provenance(device),
    }


def main() -> int:
    try:
        print(json.dumps(compare(parse())))
    except AdartsError as error:
        print("against_textbook:", error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
