"""What all clusters have in common: a folder for the jobs of a sweep, and the comparison of the queue with what nodes wrote.

    SWEEP/jobs/
        cluster.json        the kind of the cluster, its address, and the first part of the names of the jobs there
        records/POINT.json  the last attempt at a search, written on its node

The queue says which jobs are left; the records say what became of the others. There is no other state, so another process can go
on from here.
"""

from __future__ import annotations

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from adarts.engine.files import to_json, write_atomically
from adarts.errors import AdartsError
from adarts.sweeping.executors.base import Ended, Event, Job, Queued, Started
from adarts.sweeping.executors.node import NodeJob
from adarts.sweeping.executors.record import Record

_SECONDS = (1.0, 16.0)  # between two looks at the queue: after news, and while nothing happens


class ClusterExecutor(ABC):
    """Runs jobs on a cluster, and finds those of an earlier process.

    Args:
        folder: ``jobs/`` in the folder of the sweep, on a drive that all nodes share.
        places: number of jobs that run at once.
        threads: threads of each job.

    Raises:
        AdartsError: the cluster does not answer.
    """

    kind: str
    pause = 0.5
    facts: Mapping[str, str] = {}
    """What another process needs to find the cluster."""

    def __init__(self, folder: Path, places: int, threads: int) -> None:
        self.places, self.threads = places, threads
        self.folder = folder.absolute()
        known = self.folder / "cluster.json"
        self.name = json.loads(known.read_bytes())["name"] if known.exists() else f"adarts-{secrets.token_hex(4)}"
        self._stopping = False
        queue = self.queue()
        if queue is None:
            raise AdartsError(f"{self.kind} does not answer; try again when it does")
        # by the name of a job that is left: its last record
        self._seen: dict[str, Record | None] = dict.fromkeys(queue)
        self._queued: set[str] = set()  # jobs that the cluster queued again, until they begin
        self._wait, self._next = _SECONDS[0], time.monotonic()

    @abstractmethod
    def queue(self) -> Mapping[str, bool] | None:
        """The jobs of the sweep that are left, and whether they wait; None if the cluster does not answer."""

    @abstractmethod
    def send(self, jobs: Sequence[NodeJob]) -> None:
        """Submit at least one job; raises :class:`ConfigError` if the cluster refuses the options."""

    @abstractmethod
    def cancel(self) -> None:
        """Remove the waiting jobs, and ask the running ones to stop."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit the jobs.

        Raises:
            ConfigError: the cluster refuses the options.
        """
        if not jobs:
            return
        (self.folder / "records").mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "cluster.json", to_json({"kind": self.kind, "name": self.name, **self.facts}))
        for job in jobs:
            self.record(job.name).unlink(missing_ok=True)
        self.send([NodeJob(job, self.record(job.name), self.threads, Path.cwd()) for job in jobs])
        self._seen |= dict.fromkeys(job.name for job in jobs)
        self._wait = _SECONDS[0]

    def poll(self) -> Sequence[Event]:
        """What the nodes wrote, and which jobs left the queue."""
        events = [event for name in self._seen for event in self._news(name)]
        if time.monotonic() < self._next:
            return events
        queue = self.queue()
        if queue is not None:  # else the cluster is busy, which says nothing about the jobs
            for name in list(self._seen):
                events += self._news(name)
                if name not in queue:
                    events += self._left(name, self._seen.pop(name))
                elif queue[name] and self._seen[name] and name not in self._queued:
                    self._queued.add(name)
                    events.append(Queued(name, f"by {self.kind}"))
        self._wait = min(2 * self._wait, _SECONDS[1])
        self._next = time.monotonic() + self._wait
        return events

    def alive(self) -> set[str]:
        """Names of the jobs in the queue, as far as known."""
        return set(self._seen)

    def stop(self) -> None:
        """Cancel all jobs; those that run stop at a checkpoint."""
        self._stopping = True
        self.cancel()
        self._wait, self._next = _SECONDS[0], time.monotonic()

    def close(self) -> None:  # noqa: B027 - nothing to do, and that is the same for all
        """Leave the jobs to the cluster."""

    def record(self, name: str) -> Path:
        """The file for what happens to a job."""
        return self.folder / "records" / f"{name}.json"

    def _news(self, name: str) -> list[Event]:
        """Whether a job has begun since the last call."""
        before, record = self._seen[name], Record.read(self.record(name))
        if record is None or record == before:
            return []
        self._seen[name] = record
        self._wait, self._next = _SECONDS[0], min(self._next, time.monotonic() + _SECONDS[0])
        if before and before.attempt == record.attempt:
            return []
        self._queued.discard(name)
        return [Started(name, record.where)]

    def _left(self, name: str, record: Record | None) -> list[Event]:
        """The end of a job that is no longer in the queue."""
        if record is None:
            return [] if self._stopping else [Ended(name, None, "left the queue before it began")]
        if not record.ended:
            return [Ended(name, None, f"lost on {record.where}")]
        return [Ended(name, record.code, record.words)]
