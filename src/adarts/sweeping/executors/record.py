"""What the machine that runs a job writes about it into the folder of the sweep."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from adarts.errors import CheckpointError, refusing


@dataclass(frozen=True)
class Record:
    """The last attempt at a job.

    Attributes:
        attempt: number of times that the job has begun, 1 for the first time.
        where: its node.
        ended: whether the attempt is over; one that was killed with its node never is.
        code: exit code of the job; None if it was killed.
        words: the reason in one line.
    """

    attempt: int
    where: str
    ended: bool = False
    code: int | None = None
    words: str = ""

    @staticmethod
    def read(path: Path) -> Record | None:
        """The record in a file; None before the first attempt."""
        if not path.exists():
            return None
        with refusing(f"{path} is damaged; delete it", CheckpointError):
            return Record(**json.loads(path.read_bytes()))

    def write(self, path: Path) -> None:
        """Replace the file atomically."""
        fresh = path.with_name(f".{path.name}.{self.where}.{os.getpid()}.tmp")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)
