"""A figure of the paper reproduced on a real Slurm is the one reproduced on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slurm_cluster import Cluster

from adarts.cli.main import main
from adarts.report.tables import NOT_MEASURED

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

WORDS = ["reproduce", "fig10", "--scale", "smoke", "--seeds", "1", "--threads", "1"]


def test_searches_steps_and_trainings_are_jobs(
    slurm: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    assert main([*WORDS, "--on", "slurm", "--slurm.time", "30", "--run-dir", str(there)]) == 0
    assert (
        "searches 5, trainings 5, measured steps 5 (finished runs: 0); the time is not known" in capsys.readouterr().out
    )
    assert main([*WORDS, "--run-dir", str(here)]) == 0
    assert (there / "fig10" / "fig10.csv").read_bytes() == (here / "fig10" / "fig10.csv").read_bytes()
    assert NOT_MEASURED not in (there / "fig10" / "fig10-cost.csv").read_text()
    batches = [json.loads(path.read_text()) for path in sorted((there / "jobs" / "batches").iterdir())]
    assert [len(names) for names in batches] == [5, 1, 5] and batches[1] == ["steps"]
    assert slurm.call("squeue", "-h") == ""


def test_jobs_that_a_killed_command_left_are_stopped(
    slurm: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "fig1", *WORDS[2:], "--run-dir", str(tmp_path)]
    command = [sys.executable, "-m", "adarts", *words, "--on", "slurm", "--slurm.time", "30"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not slurm.call("squeue", "-h"):
            time.sleep(0.1)
        process.kill()
    assert main(words) == 2
    assert f"stop them with: adarts sweep stop {tmp_path}" in capsys.readouterr().err
    assert main(["sweep", "stop", str(tmp_path)]) == 0
    assert slurm.call("squeue", "-h") == ""
