"""kill -9 at random moments: the resumed run ends as the uninterrupted one, bit for bit (reliability, bar 1).

Twice for each kind of run by default; ``pytest tests/end_to_end/test_kill.py --kills 20`` for the promise in the docs.
"""

import random
import shutil
import signal
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


@pytest.mark.parametrize("kind", ["search", "train"])
@pytest.mark.timeout(3000)
def test_killed_runs_end_as_the_uninterrupted_one(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    began = time.monotonic()
    finish(adarts(*words(kind, tmp_path / "whole")))
    duration = time.monotonic() - began
    expected = fingerprint(tmp_path / "whole")
    kills = request.config.getoption("--kills")
    rng = random.Random(kind)
    different = []
    for number in range(kills):
        run = tmp_path / f"killed{number}"
        moment = duration * rng.uniform(0.2, 0.95)
        process = adarts(*words(kind, run))
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        finish(adarts(*words(kind, run)))
        if fingerprint(run) != expected:
            different.append(moment)
        shutil.rmtree(run)
    assert not different, f"{len(different)} of {kills} differ, killed after {different} of {duration:.1f} s"


@pytest.mark.parametrize(("kind", "signum", "code"), [("search", "SIGTERM", 143), ("train", "SIGINT", 130)])
def test_a_signal_stops_at_a_checkpoint_and_the_run_goes_on(kind: str, signum: str, code: int, tmp_path: Path) -> None:
    finish(adarts(*words(kind, tmp_path / "whole")))
    process = adarts(*words(kind, tmp_path / "stopped"))
    while not (tmp_path / "stopped" / "checkpoints" / "last.pt").exists():  # it is in its steps then
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(getattr(signal, signum))
    _, err = finish(process, code)
    assert "continue with: adarts" in err.strip().splitlines()[-1]
    out, _ = finish(adarts(*words(kind, tmp_path / "stopped")))
    assert "continuing from epoch" in out
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")
