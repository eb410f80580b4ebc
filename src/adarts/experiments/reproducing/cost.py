"""Say before anything starts what it will cost: on this machine, a few steps of every design are measured, and undone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.data import ImageData, load_images
from adarts.engine import prepare_device, write_atomically
from adarts.engine.files import to_json
from adarts.engine.forecast import predicted_seconds
from adarts.experiments.reproducing.runs import Config, Runs, design_of
from adarts.methods import create
from adarts.report.numbers import duration
from adarts.searching import SearchTask
from adarts.searching.search import planned_steps as of_search
from adarts.training.model import network_of, resolve_genotype
from adarts.training.task import TrainTask
from adarts.training.train import planned_steps as of_training

FILE = "forecast.json"
"""Seconds of a run by design, so that a continued reproduction need not measure them again."""


@dataclass(frozen=True)
class Cost:
    """What is left to do.

    Attributes:
        searches, trainings, steps: number of runs and of measured steps.
        finished: number of runs that are finished.
        seconds: seconds of all runs, one after the other; None if a design was not measured.
    """

    searches: int
    trainings: int
    steps: int
    finished: int
    seconds: float | None

    def words(self, slots: int) -> str:
        """In one sentence."""
        number = f"to do: searches {self.searches}, trainings {self.trainings}, measured steps {self.steps}"
        number += f" (finished runs: {self.finished})"
        if self.seconds is None:
            return f"{number}; the time is not known"
        at_once = "" if slots == 1 else f", about {duration(round(self.seconds / slots))} with {slots} at once"
        return f"{number}; about {duration(round(self.seconds))} of work here{at_once}"


class Forecast:
    """Predicts the time of runs.

    Args:
        runs: the folder of the runs, which keeps the measurements.
        is_timed: whether to measure a few steps of every design to predict the time. Of use if the runs will be on this machine.
    """

    def __init__(self, runs: Runs, is_timed: bool = True) -> None:
        self._file = runs.folder / FILE
        self._runs, self._is_timed = runs, is_timed
        self._known: dict[str, float | None] = _read(self._file)
        self._images: dict[str, ImageData] = {}

    def cost(self, configs: Iterable[Config], steps: Iterable[SearchConfig]) -> Cost:
        """The cost of all runs that are not finished.

        Raises:
            DataError: images are missing; nothing has started.
        """
        each = {self._runs.place(config): config for config in configs}
        left = [config for config in each.values() if not self._runs.is_finished(config)]
        if self._is_timed:
            seconds = [self._seconds(config) for config in left]
        else:
            for config in {self._source(config): config for config in left}.values():
                self._data(config)  # what is missing is said before anything starts
            seconds = [self._known.get(design_of(config)) for config in left]
        kinds = Counter(type(config) for config in left)
        unmeasured = {self._runs.step_file(config) for config in steps if self._runs.step(config) is None}
        total = None if None in seconds else sum(filter(None, seconds))
        return Cost(kinds[SearchConfig], kinds[TrainConfig], len(unmeasured), len(each) - len(left), total)

    def _seconds(self, config: Config) -> float | None:
        design = design_of(config)
        if design not in self._known:
            self._known[design] = self._measured(config)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, to_json(self._known))
        return self._known[design]

    def _measured(self, config: Config) -> float | None:
        device = prepare_device(config.run)
        data = self._data(config)
        if isinstance(config, SearchConfig):
            search = SearchTask(config, data, create(config), device)
            return predicted_seconds(search, device, of_search(search))
        genotype = None if config.genotype is None else resolve_genotype(config.genotype)
        network = network_of(config.network, genotype, data, config.seed).to(device)
        training = TrainTask(config, data, network, device)
        return predicted_seconds(training, device, of_training(training))

    def _source(self, config: Config) -> str:
        return f"{config.data} {config.images!r}"

    def _data(self, config: Config) -> ImageData:
        key = self._source(config)
        if key not in self._images:
            self._images = {key: load_images(config.data, config.images, config.seed)}  # one at a time: CIFAR is large
        return self._images[key]


def _read(file: Path) -> dict[str, float | None]:
    """The measurements so far; none if the file is missing or damaged, for they can be made again."""
    try:
        content: Mapping[str, float | None] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return dict(content)
