"""Whether a lock that a search holds on another machine is seen here. On some network drives `flock` does nothing."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from adarts.engine.lock import noted_holder, require_free
from adarts.errors import CheckpointError

_SECONDS = 5.0  # a search that was killed leaves its name in the file, too, until its cluster notices


class SharedDrive:
    """Watches the run folder of the first search that runs elsewhere, until its lock is seen or missed.

    Attributes:
        known: whether locks are known to work.
    """

    def __init__(self) -> None:
        self.known = False
        self._since: tuple[str, float] | None = None  # what a file without a lock said, and since when

    def look(self, folder: Path) -> None:
        """Look at the lock of a search that runs.

        Raises:
            CheckpointError: the search on another machine says that it holds the lock, and this machine could take it.
        """
        said = noted_holder(folder)
        if self.known or said is None:
            return
        try:
            require_free(folder)
        except CheckpointError:
            self.known = True
            return
        now = time.monotonic()
        if said.host == socket.gethostname() or self._since is None or self._since[0] != str(said):
            self._since = (str(said), now)
        elif now - self._since[1] > _SECONDS:
            raise CheckpointError(
                f"{folder} is locked by process {said.process} on {said.host}, but not for this machine: locks on this drive do "
                "not hold between machines, so two searches could write to one folder; choose a --sweep-dir on another drive"
            )
