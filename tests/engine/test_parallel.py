"""Several processes share a run: they compute what one process computes, stop together, and continue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import shares
import torch

from adarts.launch import outcome


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        (2, ["adarts", "training"]),
        pytest.param(
            20,
            ["adarts", "pc-darts", "darts-2nd", "gdas", "smash", "training"],
            marks=[pytest.mark.full, pytest.mark.timeout(3000)],
        ),
    ],
)
def test_two_processes_compute_what_one_does(steps: int, names: list[str], tmp_path: Path) -> None:
    """Sums and parameters, in float64 within 1e-9; only running statistics may differ."""
    alone, *two = (tmp_path / name for name in ("alone", "first", "second"))
    for process in [*shares.start([alone], steps, names), *shares.start(two, steps, names)]:
        process.join()
        assert process.exitcode == 0
    one, first, second = (torch.load(file) for file in (alone, *two))
    for name in names:
        same(first[name], second[name], 0.0)
        same(first[name], one[name], 1e-4 if name == "smash" else 1e-9)


def same(one: dict[str, Any], other: dict[str, Any], tolerance: float) -> None:
    assert torch.tensor(one["sums"]).allclose(torch.tensor(other["sums"]), rtol=0, atol=tolerance)
    for mine, theirs in zip(one["parameters"], other["parameters"], strict=True):
        assert mine.allclose(theirs, rtol=0, atol=tolerance)


def command(folder: Path, processes: int = 2) -> list[str]:
    """A search of several processes."""
    words = (
        f"search --method adarts --scale smoke --processes {processes} --threads 1 --images.per-class 4 --search.steps 2 "
        "--search.batch-size 8 --search.epochs 3 --search.warmup-epochs 1"
    )
    return [sys.executable, "-m", "adarts", *words.split(), "--run-dir", str(folder)]


def children(parent: int) -> list[int]:
    """The processes of a search, by their number in the run."""
    found = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return sorted(found, key=lambda pid: b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0], 0),
        ([143, 143], 143),
        ([130, 143], 130),
        ([2, 143], 2),  # the first process refuses the settings
        ([143, 4], 4),  # the other one has no memory left
        ([143, -9], 137),
        ([None, -9], 137),
        ([-15, None], 143),  # asked before it could listen
        ([0, -11], 0),  # the run has finished
    ],
)
def test_the_exit_code_tells_what_ended_the_run(codes: list[int | None], expected: int) -> None:
    assert outcome(codes) == expected


@pytest.mark.full
@pytest.mark.parametrize(
    ("number", "whom", "code"),
    [
        (signal.SIGKILL, 1, 137),
        (signal.SIGKILL, 0, 137),
        (signal.SIGTERM, 1, 143),
        (signal.SIGINT, None, 130),
        (signal.SIGKILL, None, -9),
    ],
)
def test_all_processes_leave_and_continue(number: signal.Signals, whom: int | None, code: int, tmp_path: Path) -> None:
    """A process, or the command that started them (None), is killed or asked to stop; the result is as without that."""
    subprocess.run(command(tmp_path / "whole"), check=True)
    run = subprocess.Popen(command(tmp_path / "parts"))
    metrics = tmp_path / "parts" / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") == 1):
        assert run.poll() is None
        time.sleep(0.01)
    pids = children(run.pid)
    os.kill(run.pid if whom is None else pids[whom], number)
    assert run.wait(60) == code
    while any(map(alive, pids)):  # the command was killed; they were asked to stop
        time.sleep(0.1)
    refused = subprocess.run(command(tmp_path / "parts", processes=1), capture_output=True, text=True)
    assert refused.returncode == 3 and "is a run of 2 processes, not 1" in refused.stderr
    subprocess.run(command(tmp_path / "parts"), check=True)
    for name in ("metrics.jsonl", "genotype.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
