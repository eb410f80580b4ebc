"""One process per run folder. The operating system releases the lock when its holder ends for any reason."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adarts.engine.files import refuse
from adarts.errors import CheckpointError


class Lock:
    """A lock on the file `.lock` of a folder, held from construction to :meth:`release`. The file names the holder.

    Raises:
        CheckpointError: another process holds the lock, or the folder cannot be written or locked.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = _locked(folder, os.O_CREAT, fcntl.LOCK_EX)
        started = datetime.now().isoformat(sep=" ", timespec="seconds")
        self._note(f"process {os.getpid()} on {socket.gethostname()}, started {started}\n")

    def release(self) -> None:
        """Release the lock. The file stays, because removing it could let two processes lock the folder at once."""
        self._note("")
        os.close(self._descriptor)

    def _note(self, text: str) -> None:
        """Write the holder into the file. The lock works without it, so a full disk is ignored."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, text.encode())


def require_free(folder: Path) -> None:
    """Raise the same errors as :class:`Lock` if another process uses the folder; create and change nothing."""
    if (folder / ".lock").exists():
        os.close(_locked(folder, 0, fcntl.LOCK_SH))  # shared: two processes may check at the same time


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    process: int
    host: str


def holder(folder: Path) -> Holder | None:
    """The process that uses a folder; None if it is free."""
    try:
        require_free(folder)
    except CheckpointError:
        return noted_holder(folder) or Holder(0, "an unknown machine")
    return None


def noted_holder(folder: Path) -> Holder | None:
    """The process that wrote itself into the lock file, and may have been killed since; None if there is none."""
    path = folder / ".lock"
    match = re.match(r"process ([0-9]{1,10}) on (\S+),", path.read_text(errors="replace")) if path.exists() else None
    return Holder(int(match[1]), match[2]) if match else None


def _locked(folder: Path, flags: int, operation: int) -> int:
    """Open and lock the lock file; return its descriptor."""
    path = folder / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | flags, 0o666)
    except OSError as error:
        refuse(path, error, 0)
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        with os.fdopen(descriptor, errors="replace") as file:
            holder = file.read(500).strip() or "another process"
        raise CheckpointError(f"{folder} is in use by {holder}; wait for it or stop it") from None
    except OSError as error:  # some network drives do not support locks
        os.close(descriptor)
        reason = error.strerror or error
        raise CheckpointError(f"cannot lock {path}: {reason}; choose a --run-dir on another drive") from error
    return descriptor
