"""The executor of a sweep: by its settings, or by what its folder says about its jobs."""

from __future__ import annotations

import json
from pathlib import Path

from adarts.config.cluster import Engine, RaySettings, SlurmSettings
from adarts.errors import CheckpointError, ConfigError, refusing
from adarts.sweeping.executors.base import Executor
from adarts.sweeping.executors.local import LocalExecutor
from adarts.sweeping.executors.slurm import SlurmExecutor

JOBS = "jobs"
"""Folder inside that of a sweep, for what belongs to a cluster."""


def executor(engine: Engine, sweep_dir: Path, threads: int | None) -> Executor:
    """The executor of a sweep; it creates no files and starts nothing.

    Args:
        engine: where the searches run.
        sweep_dir: folder of the sweep.
        threads: threads of each search; None for the executor's own choice.

    Raises:
        ConfigError: an option is of no use there, a program is missing, or the sweep still has jobs elsewhere.
        AdartsError: the cluster does not answer.
    """
    _require_useful(engine)
    if engine.on != "local":
        return _cluster(engine, sweep_dir / JOBS, threads)
    before = of_folder(sweep_dir)
    if before is not None and (alive := before.alive()):
        raise ConfigError(
            f"{len(alive)} searches of {sweep_dir} are in a cluster's queue; attach to them with --on, or stop them with: "
            f"adarts sweep stop {sweep_dir}"
        )
    return LocalExecutor(engine.slots or max(1, len(engine.devices)), threads, engine.devices)


def of_folder(sweep_dir: Path) -> Executor | None:
    """The cluster to which this sweep submitted jobs, to look at them and to stop them; None if it never did."""
    known = sweep_dir / JOBS / "cluster.json"
    if not known.exists():
        return None
    with refusing(f"{known} is damaged", CheckpointError):
        facts = json.loads(known.read_bytes())
        engine = Engine(on=facts["kind"], ray=RaySettings(address=facts.get("address", "auto")))
    return _cluster(engine, sweep_dir / JOBS, None)


def _cluster(engine: Engine, folder: Path, threads: int | None) -> Executor:
    if engine.on == "slurm":
        return SlurmExecutor(folder, engine.slurm, threads)
    from adarts.sweeping.executors.ray import RayExecutor

    return RayExecutor(folder, engine.ray, threads)


def _require_useful(engine: Engine) -> None:
    """Refuse options that would be ignored."""
    sections = {"slurm": SlurmSettings(), "ray": RaySettings()}
    for name, usual in sections.items():
        if engine.on != name and getattr(engine, name) != usual:
            raise ConfigError(f"--{name}.* has no effect with --on {engine.on}; add --on {name}")
    if engine.on == "local":
        if engine.detach:
            raise ConfigError("--detach needs a cluster; add --on slurm")
    elif engine.devices:
        raise ConfigError("several devices are for this machine; on a cluster, a search uses the device of its node")
    elif engine.slots is not None:
        raise ConfigError(
            "--slots is for this machine; Slurm has --slurm.array-parallelism, and Ray the CPUs and GPUs of its nodes"
        )
