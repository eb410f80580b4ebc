"""Whether a drive's locks hold between machines is found out with the first search that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adarts.errors import CheckpointError
from adarts.sweeping import shared_drive
from adarts.sweeping.shared_drive import SharedDrive

#: Takes the lock as a search does, under the name of another machine, and keeps it.
HOLD = """
import socket, sys; from pathlib import Path
socket.gethostname = lambda: "node7"
from adarts.engine.lock import Lock
lock = Lock(Path(sys.argv[1])); print("locked", flush=True); sys.stdin.read()
"""


def test_a_lock_that_is_seen(tmp_path: Path) -> None:
    drive = SharedDrive()
    drive.look(tmp_path)  # the search has not begun
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        drive.look(tmp_path)
        assert drive.known
        holder.kill()
    drive.look(tmp_path)


def test_a_lock_that_is_not_seen_is_refused_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").write_text("process 12 on node7, started 2026-11-30 10:00:00\n")
    drive = SharedDrive()
    drive.look(tmp_path)
    drive.look(tmp_path)
    monkeypatch.setattr(shared_drive, "_SECONDS", 0.0)
    with pytest.raises(CheckpointError, match="locked by process 12 on node7, but not for this machine"):
        drive.look(tmp_path)


def test_a_search_of_this_machine_that_was_killed_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_drive, "_SECONDS", 0.0)
    monkeypatch.setattr("socket.gethostname", lambda: "node7")
    (tmp_path / ".lock").write_text("process 12 on node7, started 2026-11-30 10:00:00\n")
    drive = SharedDrive()
    drive.look(tmp_path)
    drive.look(tmp_path)
    assert not drive.known
