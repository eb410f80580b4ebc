"""Look at a sweep from another process, and stop it, wherever its searches run."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from adarts.config.settings import SearchConfig
from adarts.engine.lock import holder
from adarts.engine.run_dirs import SUMMARY
from adarts.errors import CheckpointError
from adarts.sweeping.executors import Started
from adarts.sweeping.executors.choice import of_folder
from adarts.sweeping.pages import read_content
from adarts.sweeping.points import Point
from adarts.sweeping.results import PointResult
from adarts.sweeping.trainings import TrainingResult

_POLL_SECONDS = 0.2


def status(sweep_dir: Path) -> list[PointResult[Any]]:
    """The points and trainings of the last command of a sweep, with their state and progress now.

    Raises:
        CheckpointError: the folder is not that of a sweep.
    """
    content = read_content(sweep_dir)
    cluster, driver = of_folder(sweep_dir), holder(sweep_dir)
    alive = cluster.alive() if cluster else set()
    running: set[str] = set()
    for event in cluster.poll() if cluster else ():
        (running.add if isinstance(event, Started) else running.discard)(event.name)
    rows: list[PointResult[Any]] = []
    for kind, point in [(PointResult, one) for one in content["points"]] + [
        (TrainingResult, one) for one in content["trainings"]
    ]:
        known: Any = Point(point["name"], point["settings"], SearchConfig(), point["epochs"])
        row = kind(known, sweep_dir / point["folder"])
        if (row.folder / SUMMARY).exists():
            row.state = "finished"
        elif point["name"] in running or (row.folder.exists() and holder(row.folder)):
            row.state = "running"
        elif point["name"] in alive or driver:
            row.state = "waiting"
        elif point["state"] == "failed":
            row.state, row.error = "failed", point["error"]
        else:
            row.state = "stopped" if row.folder.exists() else "waiting"
        row.look()
        rows.append(row)
    return rows


def stop(sweep_dir: Path, console: Console) -> None:
    """Stop the searches of a sweep at a checkpoint, and the process that waits for them; return when all have ended.

    The folder may also be that of a reproduction or an exploration whose runs are jobs of a cluster.

    Raises:
        CheckpointError: the folder is neither, or the process runs on another machine.
    """
    if of_folder(sweep_dir) is None:
        read_content(sweep_dir)
    if driver := holder(sweep_dir):
        if driver.host != socket.gethostname():
            raise CheckpointError(f"{sweep_dir} is in use by process {driver.process} on {driver.host}; stop it there")
        os.kill(driver.process, signal.SIGTERM)
        console.print(f"waiting for process {driver.process} to stop")
        while holder(sweep_dir) == driver:
            time.sleep(_POLL_SECONDS)
    cluster = of_folder(sweep_dir)
    if cluster is not None and cluster.alive():
        console.print(f"stopping {len(cluster.alive())} searches at a checkpoint")
        cluster.stop()
        while cluster.alive():
            cluster.poll()
            time.sleep(cluster.pause)
