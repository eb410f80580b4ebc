"""kill -9 at random moments: the resumed run ends as the uninterrupted one, bit for bit (reliability, bar 1).

Twice for each kind of run by default; 20 times in ``make test-full``, for the promise in the docs.
"""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from .harness import SMALL, adarts, fingerprint, finish

#: A checkpoint after every step, so that most kills meet one that is not at an epoch's end.
OFTEN = ["--checkpoint-minutes", "0.00001"]


#: An evolutionary system that trains its cells alone, and a controller on shared weights; kills meet generations and rounds.
SYSTEMS = {
    "amoebanet": ["--options", "cells=6,population=3,sample=2,images=32"],
    "enas": ["--options", "cells=20,samples=5,images=32", "--search.epochs", "3"],
}


def words(kind: str, run: Path) -> list[object]:
    if kind in SYSTEMS:
        return ["search", *SMALL, *OFTEN, "--method", kind, *SYSTEMS[kind], "--run-dir", run]
    if kind == "search":
        return ["search", *SMALL, *OFTEN, "--run-dir", run]
    return ["train", *SMALL, *OFTEN, "--training.epochs", "3", "--genotype", "random:3", "--run-dir", run]


def wait_for(process: "subprocess.Popen[str]", file: Path) -> float:
    """Wait until a process has written a file; return the time."""
    while not file.exists():
        time.sleep(0.01)
        assert process.poll() is None or file.exists()
    return time.monotonic()


def started(run: Path, *command: object) -> tuple["subprocess.Popen[str]", float]:
    """Start a process and wait for its first checkpoint, i.e. until its steps begin; return it with the time."""
    process = adarts(*command)
    return process, wait_for(process, run / "checkpoints" / "last.pt")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, float]]:
    """The fingerprint of an uninterrupted run, and the seconds of its steps."""

    @cache
    def run(kind: str) -> tuple[str, float]:
        whole = tmp_path_factory.mktemp("whole") / kind
        process, began = started(whole, *words(kind, whole))
        duration = wait_for(process, whole / "summary.json") - began
        finish(process)
        return fingerprint(whole), duration

    return run


@pytest.mark.parametrize(
    "kind", ["search", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("train", *SYSTEMS))]
)
@pytest.mark.timeout(3000)
def test_killed_runs_end_as_the_uninterrupted_one(
    kind: str,
    uninterrupted: Callable[[str], tuple[str, float]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    expected, duration = uninterrupted(kind)
    kills, rng = request.config.getoption("--kills"), random.Random(kind)
    different, killed = [], 0
    while killed < kills:
        run = tmp_path / f"killed{killed}"
        moment = duration * rng.uniform(0, 0.9)
        process, _ = started(run, *words(kind, run))
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


@pytest.mark.full
@pytest.mark.parametrize(("kind", "signum", "code"), [("search", "SIGTERM", 143), ("train", "SIGINT", 130)])
def test_a_signal_stops_at_a_checkpoint_and_the_run_goes_on(
    kind: str, signum: str, code: int, uninterrupted: Callable[[str], tuple[str, float]], tmp_path: Path
) -> None:
    run = tmp_path / "stopped"
    process, _ = started(run, *words(kind, run))
    process.send_signal(getattr(signal, signum))
    _, err = finish(process, code)
    assert "continue with: adarts" in err.strip().splitlines()[-1]
    out, _ = finish(adarts(*words(kind, run)))
    assert "continuing from epoch" in out
    assert fingerprint(run) == uninterrupted(kind)[0]
