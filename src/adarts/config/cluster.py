"""Settings of a sweep that say where its searches run."""

from __future__ import annotations

from typing import Annotated, Literal, NoReturn

from pydantic import BeforeValidator, NonNegativeFloat, PositiveInt

from adarts.config.settings import Settings
from adarts.config.values import assignments
from adarts.errors import ConfigError


class SlurmSettings(Settings):
    """The jobs on Slurm, one for each search or training."""

    partition: str | None = None
    """Partition; none is the cluster's default."""
    account: str | None = None
    """Account that is charged; none is the user's default."""
    gres: str | None = None
    """Generic resources of each search, such as gpu:1."""
    time: PositiveInt = 240
    """Minutes of a job. A search that needs longer stops at a checkpoint, and its job is queued again."""
    array_parallelism: PositiveInt = 100
    """Searches that run at once."""
    options: Annotated[dict[str, bool | int | float | str], BeforeValidator(assignments)] = {}
    """Further options of sbatch, such as qos=low,mem=8G,constraint=a100."""
    setup: tuple[str, ...] = ()
    """Lines for the shell before a search starts, such as 'module load cuda'."""


class RaySettings(Settings):
    """The jobs on Ray, one for each search or training."""

    address: str = "auto"
    """Address of the cluster, such as 10.0.0.1:6379; auto finds that of this machine or of the variable RAY_ADDRESS."""
    gpus: NonNegativeFloat = 0
    """GPUs of each search; 0.5 lets two share one."""


class EngineOptions(Settings):
    """Where the searches of a sweep run."""

    on: Literal["local", "slurm", "ray"] = "local"
    """local: in processes on this machine; slurm, ray: as jobs of such a cluster."""
    slots: PositiveInt | None = None
    """Searches to run at once on this machine. Each gets an equal share of the cores, and one thread per core unless --threads
    is given. none is one for each --device."""
    detach: bool = False
    """Submit the searches to the cluster and return; the same command attaches again, and writes the table at the end."""
    slurm: SlurmSettings = SlurmSettings()
    ray: RaySettings = RaySettings()


class Engine(EngineOptions):
    """Where the searches of a sweep run, and on which devices."""

    devices: tuple[str, ...] = ()
    """Devices of this machine: each slot takes one, in turn; empty: all use that of the run."""


def refuse_automatic_scale() -> NoReturn:
    """Refuse the automatic scale for work on other machines.

    Raises:
        ConfigError: always.
    """
    raise ConfigError("the automatic scale is that of this machine; add --scale, such as --scale gpu")
