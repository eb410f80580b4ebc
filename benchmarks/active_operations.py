#!/usr/bin/env python
"""What a search step costs with only some operations active on every edge: prints one JSON document.

    python benchmarks/active_operations.py --repeats 5

DARTS at K = 1, the operations of every edge drawn once (seed 0), in turn with the step that has all of them. Beside the time
stands what the prediction of memory counts: the bytes of all tensors alive at once, if every edge has its largest operations.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from typing import Any

import torch

from adarts.benchmark import Conditions
from adarts.benchmark.outcome import provenance, say_on_stderr
from adarts.benchmark.subjects import SearchStep
from adarts.benchmark.timing import in_turn
from adarts.benchmark.variants import Variant
from adarts.searching.memory import Workload, tensor_bytes
from adarts.seeding import generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--active", type=int, nargs="+", default=[8, 5, 3, 1], help="operations an edge; the first is the measure"
    )
    parser.add_argument("--channels", type=int, default=16, help="channels of the first cells")
    parser.add_argument("--cells", type=int, default=8, help="number of cells")
    parser.add_argument("--batch", type=int, default=32, help="images of each update")
    parser.add_argument("--threads", help="CPU threads (default: one a core)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that count")
    options = parser.parse_args()

    conditions = Conditions.of("cpu", options.threads, options.repeats, None)
    variant = Variant(method="darts", channels=options.channels, cells=options.cells, batch=options.batch)
    steps = {str(count): with_active(variant, count, conditions.device) for count in options.active}
    times = in_turn(steps, conditions.repeats, conditions.warmup, conditions.say)
    say_on_stderr("")
    config, first = variant.config(), str(options.active[0])
    sizes = {
        count: tensor_bytes(Workload(config.supernet, config.edge, options.batch, num_operations=int(count)))
        for count in steps
    }
    records: list[dict[str, Any]] = [
        {
            "active": int(count),
            "seconds": times[count]["both"].median,
            "rounds": times[count]["both"].rounds,
            "time_ratio": times[count]["both"].over(times[first]["both"]),
            "time_ratio_range": times[count]["both"].spread_over(times[first]["both"]),
            "bytes": sizes[count],
            "memory_ratio": sizes[count] / sizes[first],
        }
        for count in steps
    ]
    command = shlex.join(["python", *sys.argv])
    print(
        json.dumps({"results": records, "provenance": {**provenance(conditions.device), "command": command}}, indent=1)
    )


def with_active(variant: Variant, count: int, device: torch.device) -> SearchStep:
    """A search step with so many operations on every edge."""
    step = SearchStep(variant, device)
    net = step.supernet
    for kind in net.space.cell_kinds:
        size = (len(net.space.edges), len(net.space.operations))
        order = torch.rand(size, generator=generator(0, "active", kind)).argsort(1)
        net.set_active(kind, (order < count).tolist())
    return step


if __name__ == "__main__":
    main()
