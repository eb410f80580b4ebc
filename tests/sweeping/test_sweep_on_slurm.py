"""Whole sweeps on a real Slurm end with the table of the same sweep on this machine, whatever happens to their jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from slurm_cluster import Cluster
from whole_sweep import WORDS, table, wait_for

from adarts.cli.main import main

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

SLURM = ["--on", "slurm", "--slurm.time", "30"]


def process_of(folder: Path) -> int:
    return int((folder / ".lock").read_text().split()[1])


def test_killed_driver_cancelled_job_and_killed_search(
    slurm: Cluster, expected: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    words = ["sweep", *WORDS, *SLURM, "--sweep-dir", str(folder)]
    runs = [folder / "points" / f"adarts-seed{seed}" for seed in (0, 1)]
    driver = subprocess.Popen([sys.executable, "-m", "adarts", *words], stdout=subprocess.DEVNULL)
    for run in runs:
        wait_for(run / "log.txt", "epoch 1/4")
        os.kill(process_of(run), signal.SIGSTOP)  # so that neither is finished before the next command attaches
    driver.kill()
    driver.wait()
    written = (folder / "sweep.json").stat().st_mtime_ns

    def disturb() -> None:
        end = time.monotonic() + 300
        while (folder / "sweep.json").stat().st_mtime_ns == written and time.monotonic() < end:
            time.sleep(0.1)
        first, _ = sorted(slurm.call("squeue", "-h", "-r", "-o", "%i").split())
        slurm.call("scancel", first)
        os.kill(process_of(runs[1]), signal.SIGKILL)

    thread = threading.Thread(target=disturb)
    thread.start()
    assert main(words) == 0
    thread.join()
    said = capsys.readouterr().out
    assert "attached to 2 jobs" in said
    assert "queued adarts-seed0 again: stopped by SIGTERM" in said
    assert "queued adarts-seed1 again: ended by SIGKILL" in said
    assert table(folder) == expected


def test_detached_looked_at_stopped_and_continued(
    slurm: Cluster, expected: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    words = ["sweep", *WORDS, *SLURM, "--slurm.array-parallelism", "1", "--sweep-dir", str(folder)]
    assert main([*words, "--detach"]) == 0
    wait_for(folder / "points" / "adarts-seed0" / "log.txt", "epoch 1/4")
    capsys.readouterr()
    assert main(["sweep", "status", str(folder)]) == 0
    states = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines() if "adarts-" in line}
    assert states == {"adarts-seed0": "running", "adarts-seed1": "waiting"}
    assert main(["sweep", "--on", "local", *WORDS, "--sweep-dir", str(folder)]) == 2
    assert "2 searches of" in capsys.readouterr().err
    assert main(["sweep", "stop", str(folder)]) == 0
    assert slurm.call("squeue", "-h") == ""
    assert "stopped by SIGTERM" in (folder / "logs" / "adarts-seed0.txt").read_text()
    assert main(words) == 0
    assert table(folder) == expected


def test_the_job_file_of_the_page_is_queued_again_and_continues(slurm: Cluster, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    (file,) = re.findall(r"^```bash\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    for line in ("#SBATCH --gres=gpu:1\n", "module load python/3.11\n", "source .venv/bin/activate\n"):
        assert line in file  # what this machine does not have
        file = file.replace(line, "")
    program = tmp_path / "adarts"
    program.write_text(f'#!/bin/bash\nexec {sys.executable} -m adarts "$@"\n')
    program.chmod(0o755)
    (tmp_path / "search.sh").write_text(file)
    words = ["--scale", "smoke", "--images.per-class", "4", "--images.size", "16", "--search.epochs", "50"]
    environment = {**slurm.environment, "PATH": f"{tmp_path}:{slurm.environment['PATH']}"}
    command = ["sbatch", "--parsable", f"--chdir={tmp_path}", "search.sh", "--method", "adarts", *words]
    sent = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    log = tmp_path / "runs" / "search" / "first" / "log.txt"
    wait_for(log, "epoch 1/50")
    slurm.call("scancel", "--signal=USR1", sent.stdout.strip())
    while slurm.call("squeue", "-h", "-o", "%T").strip() != "PENDING":
        time.sleep(0.2)
    time.sleep(3)  # the credential of the first attempt is revoked by the second, and so would be one of that second
    slurm.call("scontrol", "update", f"JobId={sent.stdout.strip()}", "StartTime=now")
    wait_for(log, "continuing from epoch")
    slurm.call("scancel", sent.stdout.strip())
