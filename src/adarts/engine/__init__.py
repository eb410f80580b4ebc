"""Interruptible runs: run folder, lock, metrics, checkpoints, signals, progress, and the driver.

Search and training each implement a :class:`Task` (one step at a time) and run it with::

    device = RunFolder.check("search", config)  # before images are read
    with RunFolder.open("search", "cifar10-adarts", config) as run:
        if not run.finished:
            carry_out(task, run, config.run)
            run.finish(summary)
"""

from adarts.engine import parallel
from adarts.engine.config_file import read_config
from adarts.engine.driver import Task, carry_out, whole_run
from adarts.engine.environment import environment, prepare_device, scale_of_machine
from adarts.engine.files import write_atomically
from adarts.engine.folder import RunFolder
from adarts.engine.metrics import Metrics
from adarts.engine.run_dirs import FRONT_FILE, GENOTYPE_FILE, Kind, existing_run_dir, images_again
from adarts.engine.signals import StopSignals, parse_time_limit

__all__ = [
    "FRONT_FILE",
    "GENOTYPE_FILE",
    "Kind",
    "Metrics",
    "RunFolder",
    "StopSignals",
    "Task",
    "carry_out",
    "environment",
    "existing_run_dir",
    "images_again",
    "parallel",
    "parse_time_limit",
    "prepare_device",
    "read_config",
    "scale_of_machine",
    "whole_run",
    "write_atomically",
]
