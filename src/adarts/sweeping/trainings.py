"""The trainings of a sweep: what each search found, and random cells at equal size, with the same seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from adarts.config.loading import merged, nested
from adarts.config.settings import TrainConfig, code_options
from adarts.config.values import names_code
from adarts.data import ImageData, load_images
from adarts.engine.run_dirs import SUMMARY
from adarts.errors import CheckpointError, refusing
from adarts.models import Network, count_parameters, width_for
from adarts.models.stem import stride_for
from adarts.sweeping.points import Point, folder_name
from adarts.sweeping.results import PointResult
from adarts.training import train_config
from adarts.training.model import resolve_genotype

RANDOM = "random cells"
"""Their name in the column of the methods."""
_PREFIX = "train-"
_FIGURES = ("test_accuracy", "balanced_accuracy", "parameters", "seconds")


@dataclass(frozen=True)
class Training:
    """One training of a sweep.

    Attributes:
        name: its name among the jobs of the sweep.
        settings: those of its search; for random cells, those that also apply to trainings, and the seed.
        config: the complete configuration.
        space: the space of its cells.
    """

    name: str
    settings: Mapping[str, Any]
    config: TrainConfig
    space: str

    @property
    def epochs(self) -> int:
        """All epochs."""
        return self.config.training.epochs

    @property
    def code(self) -> list[str]:
        """The options that name the user's own code; the file of a space registers operations of the cells."""
        return [*code_options(self.config), *(["--space", self.space] if names_code(self.space) else [])]


@dataclass
class TrainingResult(PointResult[Training]):
    """A training and its results so far."""

    constant: float = 0.0
    """Accuracy of always answering the largest class."""

    def figures_of(self, record: Mapping[str, Any]) -> dict[str, float]:
        """The numbers in the record of an epoch."""
        return {"train_accuracy": float(record["train_accuracy"])}

    def finish(self) -> None:
        """Read the results of the finished training."""
        with refusing(f"{self.folder / SUMMARY} is damaged", CheckpointError):
            summary = json.loads((self.folder / SUMMARY).read_bytes())
            self.figures = {name: float(summary[name]) for name in _FIGURES}
            self.constant = float(summary["largest_class"]["share"])


class Trainings:
    """Makes the trainings of a sweep.

    Args:
        points: all searches of the sweep.
        options: settings of the trainings by dotted name; they win over scale and recipe.

    Raises:
        ConfigError: a setting is unknown or invalid.
    """

    def __init__(self, points: Sequence[Point], options: Mapping[str, Any]) -> None:
        self._options = merged(*(nested(name, value) for name, value in options.items()))
        self._images: dict[str, ImageData] = {}
        for point in {repr(_shared(point)): point for point in points}.values():
            self._config(point, f"random:{point.config.space}:0")

    def of(self, found: Sequence[PointResult[Point]], folder: Path) -> list[TrainingResult]:
        """The trainings of the finished searches, and of random cells with the mean number of their parameters.

        Args:
            found: the finished searches.
            folder: parent of the run folders.
        """
        configs = [self._config(row.point, str(row.folder)) for row in found]
        results = [
            TrainingResult(_training(row.point.settings, config, row.point.config.space), folder / row.point.name)
            for row, config in zip(found, configs, strict=True)
        ]
        members: dict[str, list[int]] = {}
        for index, row in enumerate(found):
            members.setdefault(repr(_shared(row.point)), []).append(index)
        for indices in members.values():
            size = round(fmean(self._parameters(configs[index]) for index in indices))
            for point in {point.config.seed: point for point in (found[index].point for index in indices)}.values():
                config = self._random(point, size)
                settings = {"method": RANDOM, **_shared(point), "seed": point.config.seed}
                training = _training(settings, config, point.config.space, config.network.channels)
                results.append(TrainingResult(training, folder / training.name.removeprefix(_PREFIX)))
        return results

    def _random(self, point: Point, parameters: int) -> TrainConfig:
        """Random cells with the seed of a point, in the narrowest network of at least this size."""
        config = self._config(point, f"random:{point.config.space}:{point.config.seed}")
        data, network = self._data(config), config.network
        assert network.cells is not None  # of a genotype
        stride = network.stem_stride or stride_for(data.image_size)
        cell = resolve_genotype(str(config.genotype))
        channels = width_for(cell, parameters, data.num_classes, network.cells, data.in_channels, stride)
        return config.model_copy(update={"network": network.model_copy(update={"channels": channels})})

    def _config(self, point: Point, genotype: str) -> TrainConfig:
        config = point.config
        run = config.run.model_dump() | {"run_dir": None, "resume": False, "time_limit": None}
        given = {"data": config.data, "scale": config.scale, "images": point.images, "run": run}
        return train_config(**merged(given, self._options), genotype=genotype, seed=config.seed)

    def _parameters(self, config: TrainConfig) -> int:
        data, network = self._data(config), config.network
        assert network.channels is not None and network.cells is not None  # of a genotype
        sizes = data.num_classes, network.channels, network.cells, data.in_channels
        with torch.device("meta"):
            cell = resolve_genotype(str(config.genotype))
            return count_parameters(Network(cell, *sizes, False, network.stem_stride or stride_for(data.image_size)))

    def _data(self, config: TrainConfig) -> ImageData:
        key = repr((config.data, config.images))
        if key not in self._images:
            self._images[key] = load_images(config.data, config.images, seed=0)
        return self._images[key]


def _training(settings: Mapping[str, Any], config: TrainConfig, space: str, channels: int | None = None) -> Training:
    width = {} if channels is None else {"network.channels": channels}  # it follows from what was found
    return Training(_PREFIX + folder_name({**settings, **width}), settings, config, space)


def _shared(point: Point) -> dict[str, Any]:
    """The varied settings of a search that also apply to a training."""
    settings = point.settings.items()
    return {name: value for name, value in settings if name in ("data", "scale", "space") or name.startswith("images.")}
