"""Jobs on a real Slurm with two nodes: what the executor says of them, and that none is lost or run twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patient_job import PATIENT, begun, job, until
from slurm_cluster import Cluster

from adarts.config.cluster import SlurmSettings
from adarts.errors import ConfigError
from adarts.sweeping.executors import Ended, Event, Queued, Started
from adarts.sweeping.executors.slurm import SlurmExecutor


def executor(folder: Path, **settings: object) -> SlurmExecutor:
    return SlurmExecutor(folder / "jobs", SlurmSettings(**{"time": 10, **settings}), None)  # type: ignore[arg-type]


def test_an_array_with_every_kind_of_end(slurm: Cluster, tmp_path: Path) -> None:
    ends = {
        "good": ("print('fine')", 0, "fine"),
        "bad": ("import sys; print('adarts: too bad', file=sys.stderr); sys.exit(3)", 3, "too bad"),
        "asked": ("import os; os.kill(os.getpid(), 15)", 143, "ended by SIGTERM"),
        "killed": ("import os; os.kill(os.getpid(), 9)", None, "ended by SIGKILL"),
    }
    several = {f"{name}{number}": end for number in (1, 2) for name, end in ends.items()}
    one, events = executor(tmp_path), list[Event]()
    one.submit([job(tmp_path, name, code) for name, (code, _, _) in several.items()])
    assert one.alive() == set(several)
    until(one, events, *map(Started, several), *(Ended(name, *end) for name, (_, *end) in several.items()))
    assert (one.alive(), len(events)) == (set(), 16)
    assert {event.where for event in events if isinstance(event, Started)} == {"one", "two"}


def test_options_that_the_cluster_does_not_know(slurm: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="invalid partition specified: nowhere"):
        executor(tmp_path, partition="nowhere").submit([job(tmp_path, "a")])
    assert executor(tmp_path).alive() == set()


@pytest.mark.full
def test_a_preempted_job_is_queued_again_and_goes_on(slurm: Cluster, tmp_path: Path) -> None:
    one, events = executor(tmp_path), list[Event]()
    one.submit([job(tmp_path, "a")])
    begun(one, events, tmp_path, "a")
    slurm.call("sbatch", "--partition=urgent", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap", "sleep 2")
    until(one, events, Queued("a", "by slurm"))
    goes_on(slurm, one, events, tmp_path, "SIGTERM")


@pytest.mark.full
def test_when_its_time_is_up_a_job_is_queued_again_and_goes_on(slurm: Cluster, tmp_path: Path) -> None:
    one, events = executor(tmp_path, time=1), list[Event]()
    one.submit([job(tmp_path, "a")])
    begun(one, events, tmp_path, "a")
    end = time.monotonic() + 100
    while Queued("a", "by slurm") not in events:
        assert time.monotonic() < end
        events += one.poll()
        time.sleep(0.2)
    goes_on(slurm, one, events, tmp_path, "SIGUSR2")


@pytest.mark.full
def test_cancelled_by_somebody_and_killed_with_its_program(slurm: Cluster, tmp_path: Path) -> None:
    one, events = executor(tmp_path), list[Event]()
    one.submit([job(tmp_path, "a"), job(tmp_path, "b")])
    parents = [begun(one, events, tmp_path, name) for name in "ab"]
    first, _ = sorted(slurm.call("squeue", "-h", "-r", "-o", "%i").split())
    slurm.call("scancel", first)
    os.kill(parents[1], signal.SIGKILL)
    until(one, events, Ended("a", 143, "SIGTERM"))
    until(one, events, Ended("b", None, f"lost on {events[1].where}"))  # type: ignore[union-attr]


@pytest.mark.full
def test_another_process_finds_the_jobs_of_one_that_was_killed(slurm: Cluster, tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from adarts.config.cluster import SlurmSettings
from adarts.sweeping.executors import Job
from adarts.sweeping.executors.slurm import SlurmExecutor
folder = Path({str(tmp_path)!r})
command = [sys.executable, "-c", {PATIENT!r}]
jobs = [Job(name, [*command, str(folder / name)], folder / (name + ".log"), folder / "run") for name in "abc"]
SlurmExecutor(folder / "jobs", SlurmSettings(array_parallelism=2), None).submit(jobs)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    one, events = executor(tmp_path), list[Event]()
    assert one.alive() == set("abc")
    until(one, events, Started("a"), Started("b"))
    (tmp_path / "b.go").touch()
    until(one, events, Ended("b", 0, "exit code 0"))
    begun(one, events, tmp_path, "c")
    one.stop()
    until(one, events, Ended("a", 143, "SIGTERM"), Ended("c", 143, "SIGTERM"))
    assert executor(tmp_path).alive() == set()
    assert [(tmp_path / f"{name}.began").read_text().count("\n") for name in "abc"] == [1, 1, 1]


def wait_for(log: Path, said: str) -> None:
    end = time.monotonic() + 20
    while log.read_text() != said:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def goes_on(slurm: Cluster, one: SlurmExecutor, events: list[Event], folder: Path, asked_by: str) -> None:
    """The job that Slurm queued again begins anew and ends, after it was asked to stop by a signal."""
    wait_for(folder / "a.log", f"{asked_by}\n")
    begin_now(slurm)
    until(one, list[Event](), Started("a"))
    (folder / "a.go").touch()
    until(one, events, Ended("a", 0, "exit code 0"))


def begin_now(slurm: Cluster) -> None:
    """Slurm lets a job that was queued again wait two minutes."""
    for line in slurm.call("squeue", "-h", "-r", "-t", "PENDING", "-o", "%i").split():
        slurm.call("scontrol", "update", f"JobId={line}", "StartTime=now")
