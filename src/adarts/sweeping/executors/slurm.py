"""Jobs of a Slurm cluster, through submitit.

    SWEEP/jobs/
        batches/N.json      the searches of the array NAME-N, written before it is submitted
        submitit/           scripts and outputs of the jobs

The name of an array and the place in it tell which search a job is. So a process that was killed while it submitted finds its
jobs again. Slurm's accounting is not needed.
"""

from __future__ import annotations

import getpass
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from adarts.config.cluster import SlurmSettings
from adarts.engine.files import to_json, write_atomically
from adarts.errors import ConfigError
from adarts.sweeping.executors.cluster import ClusterExecutor
from adarts.sweeping.executors.node import NodeJob

_LONGEST_ARRAY = 1000  # Slurm's default limit is 1001
_ATTEMPTS = 10_000  # submitit gives up after so many; in jobs below ten minutes it counts preemptions, too
_SIGNAL_SECONDS = 90  # before the end of a job; at most a quarter of its time


class SlurmExecutor(ClusterExecutor):
    """Runs jobs as arrays of a Slurm cluster.

    Cancelled jobs are asked to stop, and are killed after the cluster's ``KillWait``, usually 30 seconds.

    Args:
        folder: ``jobs/`` in the folder of the sweep, on a drive that all nodes share.
        settings: the options of the jobs.
        threads: threads of each search; they are its CPUs.

    Raises:
        ConfigError: the programs of Slurm are missing.
        AdartsError: the cluster does not answer.
    """

    kind = "slurm"

    def __init__(self, folder: Path, settings: SlurmSettings, threads: int | None) -> None:
        self._settings = settings
        self._arrays: set[str] = set()
        super().__init__(folder, settings.array_parallelism, threads or 1)

    def send(self, jobs: Sequence[NodeJob]) -> None:
        """Submit arrays of at most 1000 jobs."""
        for begin in range(0, len(jobs), _LONGEST_ARRAY):
            self._send(jobs[begin : begin + _LONGEST_ARRAY])

    def _send(self, jobs: Sequence[NodeJob]) -> None:
        import submitit

        batches, settings = self.folder / "batches", self._settings
        batches.mkdir(exist_ok=True)
        number = len(list(batches.iterdir()))
        batch = batches / f"{number}.json"
        write_atomically(batch, to_json([job.job.name for job in jobs]))
        slurm = submitit.SlurmExecutor(self.folder / "submitit", max_num_timeout=_ATTEMPTS)
        named = {name: getattr(settings, name) for name in ("partition", "account", "gres")}
        try:
            slurm.update_parameters(
                job_name=f"{self.name}-{number}",
                time=settings.time,
                signal_delay_s=min(_SIGNAL_SECONDS, 15 * settings.time),
                cpus_per_task=self.threads,
                array_parallelism=settings.array_parallelism,
                setup=list(settings.setup),
                stderr_to_stdout=True,
                additional_parameters=dict(settings.options),
                **{name: value for name, value in named.items() if value is not None},
            )
            with slurm.batch():
                sent = [slurm.submit(job) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            batch.unlink()
            raise ConfigError(f"sbatch refused the searches: {' '.join(str(error).split())}") from error
        self._arrays.add(sent[0].job_id.partition("_")[0])

    def queue(self) -> Mapping[str, bool] | None:
        """The jobs of the sweep that are left, and whether they wait; None if the controller does not answer."""
        batches = {f"{self.name}-{path.stem}": path for path in (self.folder / "batches").glob("*.json")}
        if not batches:
            return {}
        words = ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--name", ",".join(batches)]
        try:
            done = subprocess.run([*words, "--format", "%j %F %K %T"], capture_output=True, text=True, timeout=60)
        except FileNotFoundError as error:
            raise ConfigError("squeue is missing: `--on slurm` needs a machine from which Slurm takes jobs") from error
        except subprocess.TimeoutExpired:
            return None
        if done.returncode:
            return None
        names = {batch: json.loads(path.read_bytes()) for batch, path in batches.items()}
        found = [line.split() for line in done.stdout.splitlines()]
        self._arrays = {array for _, array, _, _ in found}
        # A job outside of an array, i.e. alone, has no index.
        return {names[batch][int(i) if i.isdigit() else 0]: state == "PENDING" for batch, _, i, state in found}

    def cancel(self) -> None:
        """Cancel the arrays."""
        if self._arrays:
            subprocess.run(["scancel", *sorted(self._arrays)], check=False, capture_output=True)
