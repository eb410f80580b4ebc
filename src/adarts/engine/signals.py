"""Requests to stop a run: SIGTERM, SIGUSR1, SIGUSR2 (sent by clusters before a job's time is up), Ctrl-C, or a time limit."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from adarts.errors import ConfigError, Stopped
from adarts.launch import leads

_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 143, signal.SIGUSR2: 143}
_TIME_LIMIT = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_NOTE = b"\nstopping at a checkpoint after this step; Ctrl-C again stops at once\n"


def parse_time_limit(text: str | None, option: str = "--time-limit") -> float | None:
    """Convert a time like ``90s``, ``9m``, ``2h`` or ``1h30m`` to seconds; None means no limit.

    Raises:
        ConfigError: the text is not such a time, or it is zero.
    """
    if text is None:
        return None
    match = _TIME_LIMIT.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total == 0:
        raise ConfigError(f"{option} {text!r} is not a time; write it like 90s, 9m, 2h or 1h30m")
    return float(total)


class StoppedAtOnce(Stopped):
    """Raised by a signal at any point of the program, so the current operation may be incomplete."""


class StopSignals:
    """Signal handlers that raise :class:`StoppedAtOnce`, or, inside :meth:`deferred`, store the request.

    Stopping at once is right where nothing is lost: while data is read, or in the evaluation after the last checkpoint.
    During the steps of a run, the driver calls :meth:`asked` after each one. Only the main thread can install handlers;
    in other threads the signals keep their behavior.
    """

    def __init__(self, time_limit: float | None = None) -> None:
        self._deadline = None if time_limit is None else time.monotonic() + time_limit
        self._request: signal.Signals | None = None
        self._deferred = False
        self._earlier: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in _EXIT_CODES:
                self._earlier[number] = earlier = signal.signal(number, self._handle)
                outer = getattr(earlier, "__self__", None)
                if isinstance(outer, StopSignals):  # what it has stored is for this run, too
                    self._request = self._request or outer._request

    def restore(self) -> None:
        """Restore the previous handlers."""
        while self._earlier:
            number, handler = self._earlier.popitem()
            signal.signal(number, handler)

    def __enter__(self) -> StopSignals:
        self.install()
        return self

    def __exit__(self, *error: object) -> None:
        self.restore()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, the first signal only stores a request."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self._request is not None:  # it came after the last call of `asked`
            raise _stopped(self._request, Stopped)

    def asked(self) -> Stopped | None:
        """The request to stop as an exception to raise, or None."""
        if self._request is not None:
            return _stopped(self._request, Stopped)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return Stopped("stopped by the time limit", 143)
        return None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self._request is not None and number == signal.SIGINT
        if not self._deferred or again:
            raise _stopped(signal.Signals(number), StoppedAtOnce)
        if self._request is None:
            self._request = signal.Signals(number)
            if number == signal.SIGINT and leads():
                os.write(2, _NOTE)  # print() is unsafe here: the signal may have interrupted another print()


def _stopped(number: signal.Signals, kind: type[Stopped]) -> Stopped:
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    return kind(f"stopped by {name}", _EXIT_CODES[number])
