"""Time and memory of the search steps of several configurations.

Run as a program, it reads pairs of a configuration file and a file for the figures:

    python -P step.py CONFIG FIGURES [CONFIG FIGURES]...

Every configuration is measured in a process of its own, forked before torch has computed anything, because earlier steps affect
the allocator; :mod:`adarts.engine.footprint` says what the memory is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch

from adarts.config.loading import read_config_file
from adarts.config.settings import SearchConfig
from adarts.data import load_images
from adarts.engine import footprint, prepare_device
from adarts.engine.files import to_json, write_atomically
from adarts.engine.forecast import seconds_per_step
from adarts.launch import INTERRUPTED
from adarts.methods import create
from adarts.searching import SearchTask

_TIMED = 3


def measure(config: SearchConfig, figures: Path) -> None:
    """Measure the typical step of a search, after its warm-up, and write the figures."""
    device = prepare_device(config.run)
    data = load_images(config.data, config.images, config.seed)
    before = footprint.idle(device)
    task = SearchTask(config, data, create(config), device)
    epoch = task.phases[0].warmup_epochs
    seconds = [seconds_per_step(task, device, epoch) for _ in range(_TIMED)]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    peak = footprint.largest(device)
    memory = 0 if before is None or peak is None else max(0, peak - before)
    found = {"seconds": median(seconds), "memory": memory, "device": name}
    figures.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(figures, to_json(found))


def main(words: Sequence[str]) -> int:
    """Measure all; the exit code is 1 if a measurement failed."""
    failed = 0
    for config, figures in zip(words[::2], words[1::2], strict=True):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            code = 1
            try:
                measure(SearchConfig.model_validate(read_config_file(Path(config), of_a_run=True)), Path(figures))
                code = 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        signal.signal(signal.SIGTERM, partial(_end, child))
        failed |= os.waitpid(child, 0)[1] != 0
    return int(failed)


def _end(child: int, number: int, frame: object) -> None:
    """On SIGTERM: end the measurement, too; nothing is lost but this step."""
    os.kill(child, signal.SIGKILL)
    os._exit(INTERRUPTED[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
