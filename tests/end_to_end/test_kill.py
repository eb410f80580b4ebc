"""kill -9 at random moments: the resumed run ends as the uninterrupted one, bit for bit (reliability, bar 1).

Twice for each kind of run by default; ``pytest tests/end_to_end/test_kill.py --kills 20`` for the promise in the docs.
"""

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .harness import SMOKE, adarts, fingerprint, finish

#: A checkpoint about every second, so that most kills meet one that is not at an epoch's end.
OFTEN = ["--checkpoint-minutes", "0.02"]


def words(kind: str, run: Path) -> list[object]:
    if kind == "search":
        return ["search", *SMOKE, *OFTEN, "--run-dir", run]
    return ["train", *SMOKE, *OFTEN, "--training.epochs", "3", "--genotype", "random:3", "--run-dir", run]


def checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "last.pt"


def started(run: Path, *command: object) -> "subprocess.Popen[str]":
    """A process that has come to its steps: it has written its first checkpoint."""
    process = adarts(*command)
    while not checkpoint(run).exists():
        time.sleep(0.02)
        assert process.poll() is None
    return process


@pytest.mark.parametrize("kind", ["search", "train"])
@pytest.mark.timeout(3000)
def test_killed_runs_end_as_the_uninterrupted_one(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    whole = tmp_path / "whole"
    process = started(whole, *words(kind, whole))
    began = time.monotonic()
    finish(process)
    duration = time.monotonic() - began  # of the steps and what follows, without imports
    expected = fingerprint(whole)
    kills, rng = request.config.getoption("--kills"), random.Random(kind)
    different, killed = [], 0
    while killed < kills:
        run = tmp_path / f"killed{killed}"
        moment = duration * rng.uniform(0, 0.9)
        process = started(run, *words(kind, run))
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (
            process.returncode == -signal.SIGKILL and not (run / "summary.json").exists()
        ):  # else it was faster this time
            out, _ = finish(adarts(*words(kind, run)))
            assert "continuing from" in out
            killed += 1
            if fingerprint(run) != expected:
                different.append(moment)
        shutil.rmtree(run)
    assert not different, f"{len(different)} of {kills} differ, killed after {different} of {duration:.1f} s"


@pytest.mark.parametrize(("kind", "signum", "code"), [("search", "SIGTERM", 143), ("train", "SIGINT", 130)])
def test_a_signal_stops_at_a_checkpoint_and_the_run_goes_on(kind: str, signum: str, code: int, tmp_path: Path) -> None:
    finish(adarts(*words(kind, tmp_path / "whole")))
    process = started(tmp_path / "stopped", *words(kind, tmp_path / "stopped"))
    process.send_signal(getattr(signal, signum))
    _, err = finish(process, code)
    assert "continue with: adarts" in err.strip().splitlines()[-1]
    out, _ = finish(adarts(*words(kind, tmp_path / "stopped")))
    assert "continuing from epoch" in out
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")
