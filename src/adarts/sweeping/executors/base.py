"""What a sweep asks of an executor, and what it hears back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        name: its name.
        command: the program and its arguments.
        log: the file to which its output is appended.
        run_dir: the folder in which it works.
    """

    name: str
    command: Sequence[str]
    log: Path
    run_dir: Path


@dataclass(frozen=True)
class Started:
    """A job began to run; `where` names its node, or its device if the sweep uses several."""

    name: str
    where: str = ""


@dataclass(frozen=True)
class Ended:
    """A job ended.

    Attributes:
        name: the job.
        code: its exit code; None if it has none, because it was killed or its node was lost.
        words: the reason in one line: its error message, its last line of output, or how it was ended.
    """

    name: str
    code: int | None
    words: str


@dataclass(frozen=True)
class Queued:
    """The cluster itself put an interrupted job back into its queue."""

    name: str
    words: str


Event = Started | Queued | Ended


class Executor(Protocol):
    """Runs jobs. It keeps no truth of its own: the run folder of a search shows whether it is finished.

    Attributes:
        places: number of jobs that run at once.
        threads: threads of each job.
        pause: seconds to wait between two calls of :meth:`poll`.
    """

    places: int
    threads: int
    pause: float

    def submit(self, jobs: Sequence[Job]) -> None:
        """Add jobs; they start in this order as places become free."""

    def poll(self) -> Sequence[Event]:
        """What happened since the last call, in order. A job that is submitted again starts and ends again."""

    def alive(self) -> set[str]:
        """Names of the jobs that wait or run, also of those that an earlier process submitted for the same sweep."""

    def stop(self) -> None:
        """Start no more jobs, and ask the running ones to stop at a checkpoint; they end as interrupted runs do."""

    def close(self) -> None:
        """Release what belongs to this process."""
