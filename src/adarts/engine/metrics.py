"""The metrics of a run: one JSON record per epoch, with identical bytes however often the run was interrupted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adarts.engine.files import append, refuse
from adarts.errors import CheckpointError, NotFiniteError, refusing


class Metrics:
    """The file `metrics.jsonl`. An incomplete last line, left by a killed process, is ignored.

    Args:
        path: the file.
        writes: False makes :meth:`append` and :meth:`truncate` count only.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self._writes = path, writes
        self._num_records = len(self._lines())

    def __len__(self) -> int:
        return self._num_records

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a record. It must be reproducible by a run of the same configuration, so it contains no times.

        Raises:
            NotFiniteError: a value is NaN or infinite, which JSON cannot represent.
        """
        try:
            line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            bad = [f"{name}={value}" for name, value in record.items() if re.search(r"\b(nan|inf)\b", str(value))]
            raise NotFiniteError(f"the epoch's metrics are not finite: {', '.join(bad)[:500]}") from error
        if self._writes:
            append(self.path, line.encode() + b"\n")
        self._num_records += 1

    def read(self) -> list[dict[str, Any]]:
        """Read all records.

        Raises:
            CheckpointError: a line is not JSON.
        """
        records = []
        for number, line in enumerate(self._lines(), start=1):
            with refusing(f"{self.path}, line {number}: not a JSON record", CheckpointError):
                records.append({**json.loads(line)})
        return records

    def truncate(self, count: int) -> None:
        """Keep the first `count` records; those written after the checkpoint will be written again.

        Raises:
            CheckpointError: there are fewer records.
        """
        if not self._writes:
            self._num_records = count
            return
        lines = self._lines()
        if len(lines) < count:
            raise CheckpointError(f"{self.path}: {len(lines)} records, but the checkpoint was written after {count}")
        size = sum(len(line) for line in lines[:count])
        if self.path.exists() and self.path.stat().st_size != size:
            try:
                os.truncate(self.path, size)
            except OSError as error:
                refuse(self.path, error, 0)
        self._num_records = count

    def _lines(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CheckpointError(f"cannot read {self.path}: {error.strerror or error}") from error
        return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
