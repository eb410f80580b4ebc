"""Actors of a Ray cluster, one for each job.

An actor belongs to the cluster and not to the process that made it (its lifetime is `detached`), so the jobs go on without that
process, and another one finds them by name. Only Ray Core is used.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from adarts.config.cluster import RaySettings
from adarts.errors import ConfigError
from adarts.sweeping.executors.cluster import ClusterExecutor
from adarts.sweeping.executors.node import NodeJob
from adarts.sweeping.executors.ray_actor import JobActor
from adarts.sweeping.executors.record import Record

_NAMESPACE = "adarts"


class RayExecutor(ClusterExecutor):
    """Runs jobs as actors of a Ray cluster.

    Args:
        folder: ``jobs/`` in the folder of the sweep, on a drive that all nodes share.
        settings: address and resources.
        threads: threads of each job; they are its CPUs.

    Raises:
        ConfigError: Ray is missing, or there is no cluster at this address.
    """

    kind = "ray"

    def __init__(self, folder: Path, settings: RaySettings, threads: int | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise ConfigError("`--on ray` needs Ray; install it: pip install 'adarts[ray]'") from error
        self._ray: Any = ray  # it is typed in part only
        try:
            _connect(os.environ.get("RAY_ADDRESS", "") if settings.address == "auto" else settings.address)
        except (OSError, ValueError) as error:  # the latter for what cannot be a name of a host
            where = "RAY_ADDRESS" if settings.address == "auto" else f"--ray.address {settings.address}"
            raise ConfigError(f"{where}: there is no Ray cluster") from error
        try:
            self._ray.init(settings.address, namespace=_NAMESPACE, log_to_driver=False, logging_level="error")
        except ConnectionError as error:
            raise ConfigError(f"--ray.address {settings.address}: there is no Ray cluster") from error
        self._settings = settings
        cpus = int(self._ray.cluster_resources().get("CPU", 0))
        super().__init__(folder, max(1, cpus // (threads or 1)), threads or 1)
        self.facts = {"address": settings.address}

    def send(self, jobs: Sequence[NodeJob]) -> None:
        """Make an actor for each job; it begins when a node has room."""
        actor = self._ray.remote(JobActor)
        for job in jobs:
            resources = {"num_cpus": self.threads, "num_gpus": self._settings.gpus, "max_restarts": 0}
            actor.options(name=self._name_of(job.job.name), lifetime="detached", **resources).remote(job)

    def queue(self) -> Mapping[str, bool]:
        """The jobs whose actors live."""
        mine = f"{self.name}/"
        names = [name for name in self._ray.util.list_named_actors() if name.startswith(mine)]
        return {name.removeprefix(mine): False for name in names}

    def cancel(self) -> None:
        """End the actors that have not begun, and ask the others to stop their jobs."""
        for name in self.alive():
            with suppress(ValueError):  # it has ended meanwhile
                actor = self._ray.get_actor(self._name_of(name))
                if Record.read(self.record(name)) is None:
                    self._ray.kill(actor)
                else:
                    actor.stop.remote()

    def close(self) -> None:
        """Leave the cluster; the actors go on."""
        self._ray.shutdown()

    def _name_of(self, job: str) -> str:
        return f"{self.name}/{job}"


def _connect(address: str) -> None:
    """Raise :class:`OSError` if nobody listens at `HOST:PORT`; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
