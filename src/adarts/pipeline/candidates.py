"""Train the networks of a run, one of which is delivered: that of the found cells, and others for the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adarts.config.settings import RunSettings, TrainConfig
from adarts.data import ImageData, Source, load_images, read_source
from adarts.models import width_for
from adarts.pipeline.choose import made_up, probe, shape_of, training_settings
from adarts.pipeline.fitting import decided, fitted
from adarts.pipeline.plan import Plan
from adarts.pipeline.rivals import start_of
from adarts.spaces import Genotype
from adarts.training import TrainResult, run_training, train_config

MEASURED = "measured"
"""Folder of the numbers that depend on measured times, so that a run that continues has the same ones."""


@dataclass(frozen=True)
class Candidate:
    """A trained network.

    Attributes:
        result: its training.
        images: loads the images in the form that it takes.
        settings: its settings: `channels` of cells, or `name` of another network.
    """

    result: TrainResult
    images: Callable[[], ImageData]
    settings: dict[str, Any]


class Candidates:
    """Trains the networks of a plan, each in a folder of its own, ``network-1`` and so on.

    Args:
        plan: the plan.
        folder: folder of the run.
        run: device and threads.
        images: the images, in the size of the plan.
        source: the same images before they are split.
    """

    def __init__(self, plan: Plan, folder: Path, run: RunSettings, images: ImageData, source: Source) -> None:
        self._plan, self._folder, self._run = plan, folder, run
        self._images = images
        self._sources = {plan.size: source}

    def first(self, cells: Genotype) -> Candidate:
        """Train the network of the found or published cells, as wide as the limits and the plan allow."""
        plan = self._plan
        about = {"genotype": cells.to_text(), **plan.model_dump(mode="json", include={"limits", "network", "size"})}
        channels = decided(self._file("width", 1), about, lambda: fitted(cells, plan, self._images))
        return self._trained(1, {"channels": channels}, cells.to_text(), plan.training.epochs)

    def other(
        self, number: int, name: str, cells: Genotype | None, first: Candidate, first_cells: Genotype
    ) -> Candidate:
        """Train another network for the same time; cells get as many parameters as the first network, within the limits.

        The steps of both networks are timed one after the other, so that other work on the machine slows both of them.

        Args:
            number: number of its folder.
            name: the name in the plan.
            cells: its cells; None for a network of timm.
            first: the first network.
            first_cells: its cells.
        """
        plan, images = self._plan, self._images
        parameters = first.result.summary["parameters"]
        related = {"limits", "network", "size", "training"} | (set() if cells else {"timm"})
        about = {"name": name, "parameters": parameters, **plan.model_dump(mode="json", include=related)}
        title, file = start_of(name)
        settings: dict[str, Any] = {"name": title} if file is None else {"name": title, "pretrained": file}
        if cells is not None:
            shape, known = shape_of(images, plan.size), cells
            sizes = shape.num_classes, plan.network.cells, shape.in_channels, shape.stem_stride

            def width() -> int:
                return fitted(known, plan, images, most=max(2, width_for(known, parameters, *sizes) // 2 * 2))

            settings = {"channels": decided(self._file("width", number), about, width)}
        genotype = None if cells is None else name

        def seconds(network: dict[str, Any], genotype: str | None) -> float:
            how = training_settings(plan, self._run, network, genotype, 2)
            return probe(how, made_up(images, how["images"]["size"], plan.training.batch_size), self._run)

        def fitting_epochs() -> int:
            mine, its = seconds(first.settings, first_cells.to_text()), seconds(settings, genotype)
            return max(1, min(plan.training.epochs * 3, int(plan.training.epochs * mine / its)))

        return self._trained(number, settings, genotype, decided(self._file("epochs", number), about, fitting_epochs))

    def images(self, config: TrainConfig) -> ImageData:
        """The images as a training has them."""
        if config.images.size == self._plan.size:
            return self._images
        return load_images(self._source(config), config.images, config.seed)

    def _file(self, what: str, number: int) -> Path:
        return self._folder / MEASURED / f"{what}-{number}.json"

    def _trained(self, number: int, network: dict[str, Any], genotype: str | None, epochs: int) -> Candidate:
        where = self._run.model_copy(update={"run_dir": self._folder / f"network-{number}"})
        config = train_config(**training_settings(self._plan, where, network, genotype, epochs))
        return Candidate(run_training(config, self._source(config)), partial(self.images, config), network)

    def _source(self, config: TrainConfig) -> Source:
        """The images for a training; larger ones are read from the files again, for enlarged ones would lack detail."""
        size = config.images.size or self._plan.size
        if size > self._plan.size and size not in self._sources:
            self._sources[size] = read_source(self._plan.data, config.images)
        return self._sources.get(size, self._sources[self._plan.size])
