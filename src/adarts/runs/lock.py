"""One process a run folder. The operating system frees the lock when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path

from adarts.errors import CheckpointError
from adarts.runs.files import refuse


class Lock:
    """A held lock on the file `.lock` of a folder; the file says who holds it.

    Raises:
        CheckpointError: another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / ".lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            refuse(path, error, 0)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 500).decode(errors="replace").strip() or "another process"
            os.close(self._descriptor)
            raise CheckpointError(f"{folder} is in use by {holder}; wait for it or stop it") from None
        started = datetime.now().isoformat(sep=" ", timespec="seconds")
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}, started {started}\n".encode())

    def release(self) -> None:
        """Free the folder. The file stays: to remove it would free the folder for two processes at once."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
