"""Watches a parser at work: what it raises, how long it computes, how much memory it takes, what it writes and starts."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adarts.errors import AdartsError

SECONDS = 5.0
"""Longest time of a parser, in seconds of computing, so that a busy machine fails no test."""
MEMORY = 1 << 30
"""Most memory that a parser may take, in bytes."""
LONGEST = 1500
"""Longest message, in characters."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.truncate",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
}
_STARTS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "socket.connect",
    "os.kill",
}
_PROGRAMS = {"graphviz-pure", "dot", "git"}  # they draw cells and name the commit

_inside: Path | None = None  # the folder of the parser that is watched
_seen: list[str] = []


class TooLong(BaseException):
    """No `except Exception` of a parser must swallow it."""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Called by Python for everything that leaves the process (PEP 578)."""
    if _inside is None:
        return
    if event in _STARTS:
        if event != "subprocess.Popen" or Path(arguments[0]).name not in _PROGRAMS:
            _seen.append(f"{event} {arguments}")
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        _look(event, arguments[0])
    elif event in _CHANGES:
        for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
            _look(event, path)


def _look(event: str, path: Any) -> None:
    if isinstance(path, int):  # opened before, and looked at then
        return
    real = os.path.realpath(os.fsdecode(path))
    if real != os.devnull and not Path(real).is_relative_to(_inside or ""):
        _seen.append(f"{event} {real}")


sys.addaudithook(_audit)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """The body may fail with an error of adarts alone, in one line, in time, and writes into this folder alone.

    Args:
        folder: the only folder that the body may write into; also its working directory. Nothing else may lie beside it.
    """
    global _inside
    before, place = [*folder.parent.iterdir()], Path.cwd()
    _seen.clear()
    os.chdir(folder)
    usual = signal.signal(signal.SIGVTALRM, _too_long)
    memory, _inside = _memory(fresh=True), folder.resolve()
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    except AdartsError as error:
        line = " ".join(str(error).split())
        assert 0 < len(line) <= LONGEST, f"{len(line)} characters: {line[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, usual)
        _inside = None
        os.chdir(place)
    assert not _seen, _seen
    assert [*folder.parent.iterdir()] == before
    taken = _memory() - memory
    assert taken <= MEMORY, f"{taken:,} bytes"


def _too_long(*_: object) -> None:
    raise TooLong


def _memory(fresh: bool = False) -> int:
    """The memory of this process at its peak in bytes; a fresh peak begins with what it has now."""
    if fresh:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])
