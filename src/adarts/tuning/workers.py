"""Which processes work on a study: each holds a lock in a folder of its own, so the others see when it is gone."""

from __future__ import annotations

import os
import shutil
import socket
import time
from datetime import datetime
from pathlib import Path

from adarts.engine.lock import Lock, holder, noted_holder

_BEAT = 5.0  # seconds between two signs of life
_SILENCE = 60.0  # seconds without one, after which a worker on another machine counts as gone


class Worker:
    """A process that works on a study.

    Its lock is released when it ends for any reason. On some network drives the locks of one machine are not seen on another one,
    so a worker also touches its lock file every few seconds. No clocks are compared: a worker is gone if its file does not change
    for a minute of this machine's time.

    Args:
        folder: the folder of all workers of the study.

    Attributes:
        name: its name, which no other worker of the study ever has.
    """

    def __init__(self, folder: Path) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{datetime.now():%Y%m%d-%H%M%S-%f}"
        self._folder, self._own = folder, folder / self.name
        self._own.mkdir(parents=True)
        self._lock = Lock(self._own)
        self._beat = time.monotonic()
        self._seen: dict[str, tuple[int, float]] = {}
        self._tidy()

    def beat(self) -> None:
        """Give a sign of life, if one is due, and remove what killed workers left."""
        if time.monotonic() - self._beat >= _BEAT:
            os.utime(self._own / ".lock")
            self._tidy()
            self._beat = time.monotonic()

    def is_alive(self, name: str) -> bool:
        """Whether a worker of this name still works."""
        folder = self._folder / name
        if name == self.name or holder(folder) is not None:
            return True
        try:
            known, changed = noted_holder(folder), (folder / ".lock").stat().st_mtime_ns
        except FileNotFoundError:  # it has left
            return False
        if known is None or known.host == socket.gethostname():
            return False
        now = time.monotonic()
        last, since = self._seen.get(name, (0, now))
        if last != changed:
            since = now
        self._seen[name] = changed, since
        return now - since < _SILENCE

    def _tidy(self) -> None:
        """Remove the folders of killed workers. One that has just begun has no name in its lock file yet, and is left alone."""
        for folder in self._folder.iterdir():
            if noted_holder(folder) is not None and not self.is_alive(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Leave the study."""
        self._lock.release()
        shutil.rmtree(self._own, ignore_errors=True)
