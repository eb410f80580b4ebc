"""A real Slurm on this machine: a controller and two nodes without systemd, in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "munged", "mungekey")
PACKAGES = "slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins"
_READY_SECONDS = 60.0

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=30
ReturnToService=2
SlurmdTimeout=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=5
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=5
PartitionName=work Nodes=one,two Default=YES PriorityTier=1 MaxTime=INFINITE
PartitionName=urgent Nodes=one,two PriorityTier=10 MaxTime=INFINITE
"""


@dataclass(frozen=True)
class Cluster:
    """A running Slurm; its programs find it by the environment variable SLURM_CONF."""

    folder: Path
    environment: dict[str, str]

    def call(self, *words: str) -> str:
        """Run one of Slurm's programs, and return its output."""
        return subprocess.run(words, env=self.environment, check=True, capture_output=True, text=True).stdout


def missing() -> list[str]:
    """Programs of Slurm that this machine does not have, or why they cannot run here."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a Slurm with the nodes `one` and `two`, and end it afterwards."""
    ports = _free_ports(3)
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin", "SLURM_CONF": str(folder / "slurm.conf")}
    (folder / "state").mkdir()
    words = {"host": socket.gethostname(), "user": getpass.getuser(), "folder": folder, "ports": ports}
    (folder / "slurm.conf").write_text(_CONFIGURATION.format(**words))
    slurm = Cluster(folder, environment)
    slurm.call("mungekey", "--create", "--keyfile", str(folder / "munge.key"))
    files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "seed-file": "munge.seed"}
    options = [f"--{name}={folder / file}" for name, file in files.items()]
    daemons = [["munged", "--foreground", "--force", *options, f"--log-file={folder / 'munge.log'}"]]
    daemons += [["slurmctld", "-D"], ["slurmd", "-D", "-N", "one"], ["slurmd", "-D", "-N", "two"]]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for words_of in daemons:
            with (folder / f"{words_of[0]}.out").open("ab") as out:
                running.append(subprocess.Popen(words_of, env=environment, stdout=out, stderr=out))
            if words_of[0] == "munged":
                _wait(lambda: (folder / "munge.socket").exists(), folder)
        _wait(lambda: slurm.call("sinfo", "--noheader", "-N", "-o", "%N %t").split().count("idle") >= 4, folder)
        yield slurm
    finally:
        subprocess.run(
            ["scancel", "--user", getpass.getuser(), "--signal=KILL"], env=environment, check=False, capture_output=True
        )
        for daemon in reversed(running):
            daemon.terminate()
        for daemon in reversed(running):
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _wait(ready: object, folder: Path) -> None:
    assert callable(ready)
    end = time.monotonic() + _READY_SECONDS
    while True:
        try:
            if ready():
                return
        except subprocess.CalledProcessError:
            pass
        if time.monotonic() > end:
            logs = "\n".join(f"{path}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.log"))
            raise RuntimeError(f"Slurm did not start\n{logs}")
        time.sleep(0.05)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def slurm_or_skip(folder: Path) -> Iterator[Cluster]:
    """A cluster for the tests of a module; they are skipped without Slurm, unless ADARTS_SLURM=required as in .ci/run."""
    if lacking := missing():
        reason = f"no {', '.join(lacking)} on this machine; on Debian: apt install {PACKAGES}"
        if os.environ.get("ADARTS_SLURM") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    with cluster(folder) as slurm, pytest.MonkeyPatch.context() as patch:
        for name in ("PATH", "SLURM_CONF"):
            patch.setenv(name, slurm.environment[name])
        yield slurm
