"""The trained proposals of a searcher as jobs of a real Slurm: a command that is killed goes on, and ends as on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from slurm_cluster import Cluster

from adarts.cli.main import main
from adarts.engine.lock import Holder, holder

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

WORDS = [
    "explore",
    "--searcher",
    "rea",
    "--evaluator",
    "training",
    "--data",
    "digits",
    "--scale",
    "smoke",
    "--space",
    "s3",
]
WORDS += ["--budget", "3", "--options", "population=2,sample=1", "--threads", "1"]
WORDS += ["--train-options", "images.per_class=2,images.size=8,search.batch_size=8,search.steps=1"]


def test_a_killed_command_attaches_and_ends_as_on_this_machine(
    slurm: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    words = [*WORDS, "--on", "slurm", "--slurm.time", "30", "--run-dir", str(there)]
    slurm.call("scontrol", "update", "PartitionName=work", "State=DOWN")  # jobs wait
    with subprocess.Popen([sys.executable, "-m", "adarts", *words], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not slurm.call("squeue", "-h"):
            time.sleep(0.1)
        process.kill()

    def begin() -> None:
        """Let the jobs start once the next command has seen them."""
        end = time.monotonic() + 300
        while holder(there) != Holder(os.getpid(), socket.gethostname()) and time.monotonic() < end:
            time.sleep(0.1)
        slurm.call("scontrol", "update", "PartitionName=work", "State=UP")

    thread = threading.Thread(target=begin)
    thread.start()
    assert main(words) == 0
    thread.join()
    assert "attached to 2 jobs that an earlier process submitted" in capsys.readouterr().out
    assert main([*WORDS, "--run-dir", str(here)]) == 0
    assert (there / "trials.jsonl").read_bytes() == (here / "trials.jsonl").read_bytes()
    assert slurm.call("squeue", "-h") == ""
