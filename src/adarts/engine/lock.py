"""One process a run folder. The operating system frees the lock when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from adarts.engine.files import refuse
from adarts.errors import CheckpointError


class Lock:
    """A held lock on the file `.lock` of a folder; the file says who holds it.

    Raises:
        CheckpointError: another process holds it, or the folder cannot be written or locked.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = _locked(folder, os.O_CREAT, fcntl.LOCK_EX)
        started = datetime.now().isoformat(sep=" ", timespec="seconds")
        self._note(f"process {os.getpid()} on {socket.gethostname()}, started {started}\n")

    def release(self) -> None:
        """Free the folder. The file stays: to remove it would free the folder for two processes at once."""
        self._note("")
        os.close(self._descriptor)

    def _note(self, text: str) -> None:
        """Say who holds the lock; the lock holds without it too, so a full disk is no obstacle here."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, text.encode())


def require_free(folder: Path) -> None:
    """Refuse, as :class:`Lock` does, a folder that another process works on; nothing is made or changed."""
    if (folder / ".lock").exists():
        os.close(_locked(folder, 0, fcntl.LOCK_SH))  # shared: two that only ask do not refuse one another


def _locked(folder: Path, flags: int, operation: int) -> int:
    """The descriptor of the lock file, locked."""
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
    except OSError as error:  # some network drives know no locks
        os.close(descriptor)
        reason = error.strerror or error
        raise CheckpointError(f"cannot lock {path}: {reason}; choose a --run-dir on another drive") from error
    return descriptor
