"""The runs of all experiments in one folder, found again by their configuration.

    runs/reproduce/SCALE/
        searches/METHOD-DIGEST-seedSEED/    run folders, with their reports
        trainings/CELLS-DIGEST-seedSEED/
        steps/METHOD-DIGEST.json            time and memory of a search step
        logs/  configs/
        table2/                             what an experiment says

The digest is that of all settings but the seed. Two experiments that ask for the same run share it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.engine.config_file import compared_settings
from adarts.engine.run_dirs import SUMMARY
from adarts.errors import CheckpointError, refusing
from adarts.report.reading import RunRecord, read_run
from adarts.spaces import Genotype
from adarts.zoo import find

Config = SearchConfig | TrainConfig
Found = Callable[[SearchConfig], Genotype | str | None]
"""The cells that a search found, or that stand in for them in a forecast; None if it is not finished."""


@dataclass(frozen=True)
class Step:
    """Time and memory of a search step, measured in a process of its own.

    Attributes:
        seconds: median of several steps after the warm-up.
        memory: peak of memory in bytes above that of the idle process; on a GPU, of torch's allocator.
        device: where.
    """

    seconds: float
    memory: int
    device: str


def digest(config: Config, *without: str) -> str:
    """Ten letters for all settings that make a run, except the seed and `without`."""
    settings = compared_settings(config)
    for name in ("seed", *without):
        settings.pop(name, None)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


def design_of(config: Config) -> str:
    """What runs that cost the same have in common: all but the seed and, for a training, its cells."""
    return f"{label(config)}-{digest(config)}" if isinstance(config, SearchConfig) else digest(config, "genotype")


def label(config: Config) -> str:
    """A short name of a run: its method, or its cells and data."""
    if isinstance(config, SearchConfig):
        return config.method
    reference = config.network.name or str(config.genotype)
    if reference.startswith("random:"):
        reference = reference.replace(":", "")
    elif config.network.name is None and find(reference) is None:
        reference = "found"
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", f"{reference}-{config.data}")


class Runs:
    """The runs in a folder.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, RunRecord] = {}

    def place(self, config: Config) -> Path:
        """The run folder of a configuration."""
        kind = "searches" if isinstance(config, SearchConfig) else "trainings"
        return self.folder / kind / f"{label(config)}-{digest(config)}-seed{config.seed}"

    def is_finished(self, config: Config) -> bool:
        """Whether the run is complete."""
        return (self.place(config) / SUMMARY).exists()

    def record(self, config: Config) -> RunRecord | None:
        """The finished run; None if it is not finished.

        Raises:
            CheckpointError: a file of it is damaged.
        """
        place = self.place(config)
        if place not in self._read:
            if not self.is_finished(config):
                return None
            self._read[place] = read_run(place)
        return self._read[place]

    def cells(self, config: SearchConfig) -> Genotype | None:
        """The cells that a finished search found."""
        found = self.record(config)
        return None if found is None else found.genotype

    def estimate(self, config: SearchConfig) -> float | None:
        """The estimated accuracy of the cells that a search found, in percent; None if there is none."""
        found = self.record(config)
        known = None if found is None else found.summary.get("truth")
        return None if known is None else float(known["cifar10"])

    def accuracy(self, config: TrainConfig | None) -> float | None:
        """The test accuracy after the last epoch, in percent."""
        found = None if config is None else self.record(config)
        return None if found is None else 100 * float(found.summary["test_accuracy"])

    def seconds(self, config: Config) -> float | None:
        """The time of a run."""
        found = self.record(config)
        return None if found is None else float(found.summary["seconds"])

    def step_file(self, config: SearchConfig) -> Path:
        """The file of a measured step."""
        return self.folder / "steps" / f"{design_of(config)}.json"

    def step(self, config: SearchConfig) -> Step | None:
        """The measured step; None if it was not measured."""
        path = self.step_file(config)
        if not path.exists():
            return None
        with refusing(f"{path} is damaged; delete it", CheckpointError):
            return Step(**json.loads(path.read_bytes()))
