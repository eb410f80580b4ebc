"""Carrying out a run so that it survives: folder, lock, metrics, checkpoints, signals, progress, and the driver.

A verb writes a :class:`Task` (what one step does) and says::

    device = RunFolder.check("search", config)  # before images are read
    with RunFolder.open("search", "cifar10-adarts", config) as run:
        if not run.finished:
            carry_out(task, run, config.run)
            run.finish(summary)
"""

from adarts.runs.config_file import read_config
from adarts.runs.driver import Task, carry_out
from adarts.runs.environment import environment, prepare_device
from adarts.runs.files import write_atomically
from adarts.runs.folder import RunFolder
from adarts.runs.memory import out_of_memory_named
from adarts.runs.metrics import Metrics
from adarts.runs.places import Kind, unfinished
from adarts.runs.signals import StopSignals, parse_time_limit

__all__ = [
    "Kind",
    "Metrics",
    "RunFolder",
    "StopSignals",
    "Task",
    "carry_out",
    "environment",
    "out_of_memory_named",
    "parse_time_limit",
    "prepare_device",
    "read_config",
    "unfinished",
    "write_atomically",
]
