"""The process that measures one peak of memory: ``python -m adarts.benchmark.child``, with the job as JSON on its input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch

from adarts.benchmark.memory import report_peak
from adarts.benchmark.subjects import SearchStep
from adarts.benchmark.training import TrainStep, TrainVariant
from adarts.benchmark.variants import Variant
from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.engine.memory import out_of_memory_named
from adarts.errors import OutOfMemoryError

KINDS: dict[str, Callable[[dict[str, Any], torch.device], Callable[[], object]]] = {
    "search": lambda fields, device: SearchStep(Variant(**fields), device),
    "training": lambda fields, device: TrainStep(TrainVariant(**fields), device),
}


def main() -> int:
    """Measure the job's peak and print it."""
    job = json.load(sys.stdin)
    device = prepare_device(RunSettings(device=job["device"], threads=job["threads"]))
    try:
        with out_of_memory_named("in a step"):
            report_peak(lambda: KINDS[job["kind"]](job["variant"], device), device)
    except OutOfMemoryError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
