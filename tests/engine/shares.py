"""Steps of searches and of a training, alone or as one of several processes that share every batch."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adarts.engine import parallel
from adarts.searching import SearchTask
from adarts.training.task import TrainTask
from tiny import tiny_search, tiny_training

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "tiny"])  # torch is imported once, not once a child


def start(files: Sequence[Path], steps: int, names: Sequence[str]) -> list[BaseProcess]:
    """Start one process for each file; several of them share their batches, one works every batch off in two parts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"WORLD_SIZE": str(len(files)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes: list[BaseProcess] = []
    for rank, file in enumerate(files):
        own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        processes.append(_CONTEXT.Process(target=work, args=(own, file, steps, names)))
        processes[-1].start()
    return processes


def work(environment: dict[str, str], file: Path, steps: int, names: Sequence[str]) -> None:
    """Write the parameters after the steps, and the sums of every step. A name is that of a method, or `training`."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    with parallel.joined():
        done = {name: result(name, steps) for name in names}
    torch.save(done, file)


def result(name: str, steps: int) -> dict[str, Any]:
    torch.set_default_dtype(torch.float32 if name == "smash" else torch.float64)  # its hypernetwork works in float32
    task = tiny_training() if name == "training" else tiny_search(name, search={"batch_size": 8})
    prepare(task)
    sums = [numbers(task.step(2, step)) for step in range(steps)]
    network = task.network if isinstance(task, TrainTask) else task.supernet
    return {"sums": sums, "parameters": [p.detach().clone() for p in network.parameters()]}


def prepare(task: SearchTask | TrainTask) -> None:
    """Give images the default type, and work each batch off in two parts, in this process or in two."""
    batch = task.batch

    def doubled(*where: Any) -> tuple[Tensor, Tensor]:
        x_bchw, y_b = batch(*where)
        return x_bchw.to(torch.get_default_dtype()), y_b

    task.batch = doubled  # type: ignore[method-assign]
    task.accumulation = 2 // parallel.count()


def numbers(sums: dict[str, Tensor | float]) -> list[float]:
    return [float(sums[name]) for name in sorted(sums)]
