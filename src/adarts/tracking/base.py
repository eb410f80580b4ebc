"""What a tracker is, and what it is told."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adarts.config.settings import SearchConfig, TrainConfig

Scalars = Mapping[str, float]
"""Numbers by name; a slash separates the parts of a name."""

_BESIDE = ("epoch", "genotype")  # the step, and the version number inside the cells
_ID_FILE = "tracking.id"


@dataclass(frozen=True)
class TrackedRun:
    """A run, as its trackers know it.

    Attributes:
        folder: the run folder.
        config: its complete configuration.
    """

    folder: Path
    config: SearchConfig | TrainConfig

    def id(self) -> str:
        """A name of this run that no other run has. It is kept in the run folder, so a continued run has the same.

        The file also says where the folder is. So a copy gets a name of its own, and a folder that was moved keeps its name. What
        is no such name is replaced: trackers look for files and runs by it.
        """
        path, here = self.folder / _ID_FILE, self.folder.resolve()
        known = path.read_text(errors="replace") if path.exists() else ""
        match = re.fullmatch(r"([0-9a-f]{16}) in (.*)\n", known)
        name = secrets.token_hex(8) if match is None or _is_elsewhere(Path(match[2]), known, here) else match[1]
        if known != (now := f"{name} in {here}\n"):
            path.write_text(now)
        return name


def _is_elsewhere(place: Path, known: str, here: Path) -> bool:
    """Whether the run folder of this file of the name is still there, so that the folder here is a copy of it."""
    try:
        original = (place / _ID_FILE).read_text(errors="replace")
        return original == known and not place.samefile(here)
    except (OSError, ValueError):  # it was moved, or is not readable, or no file can have this name
        return False


class Tracker(Protocol):
    """A tracker of one run. It is made with the run and the scalars of the epochs so far, and has exactly these epochs then.

    Attributes:
        where: how to look at it: a command or an address.
    """

    where: str

    def record(self, step: int, values: Scalars) -> None:
        """Take the scalars of an epoch, which has this number from 0."""

    def finish(self, results: Scalars, pictures: Mapping[str, bytes]) -> None:
        """Take the results and pictures (PNG files by name) of the finished run."""

    def close(self) -> None:
        """Write what is left."""


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record, also those in nested records: ``{"skips": {"normal": 2}}`` gives ``{"skips/normal": 2.0}``.

    Lists, such as the weights of all operations, are left out.
    """
    found: dict[str, float] = {}
    for name, value in record.items():
        known = re.sub(r"[^\w. /-]", "_", name)
        if name in _BESIDE:
            continue
        if isinstance(value, Mapping):
            found |= {f"{known}/{inner}": number for inner, number in scalars(value).items()}
        elif isinstance(value, int | float):
            found[known] = float(value)
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


Epochs = Sequence[Scalars]
"""The scalars of the epochs from 0 on."""
