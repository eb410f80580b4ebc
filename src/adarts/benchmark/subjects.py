"""The steps that are measured: those of the search's and the training's own tasks, on synthetic images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from adarts import kernels
from adarts.benchmark.timing import Clock, Seconds
from adarts.benchmark.variants import Variant
from adarts.data import ImageData, Images
from adarts.engine.update import Sums
from adarts.methods import Purpose, create
from adarts.searching import SearchTask
from adarts.seeding import generator
from adarts.supernet import Supernet

CLASSES = 10


def synthetic(count: int, size: int) -> ImageData:
    """Images of noise: their content changes no time, and no data set has to be there.

    Args:
        count: at least so many, the same number of each class and an even one.
        size: side in pixels.
    """
    per_class = 2 * math.ceil(count / (2 * CLASSES))
    shape = (per_class * CLASSES, 3, size, size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(0, "benchmark", "images"))
    train = Images(pixels, torch.arange(len(pixels)) % CLASSES)
    test = train.select(torch.arange(CLASSES))
    names = tuple(str(label) for label in range(CLASSES))
    return ImageData("synthetic", names, train, test, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class SearchStep:
    """One step of a search after its warm-up: the alphas' update, the weights' update, and the batches of both.

    Args:
        variant: which one.
        device: where; the number of threads is set by the caller.
    """

    def __init__(self, variant: Variant, device: torch.device) -> None:
        config = variant.config()
        self._kernels: kernels.Choice = config.run.kernels
        kernels.use(self._kernels)
        data = synthetic(2 * variant.batch, variant.size)
        self._clock = Clock(device)
        self._parts: Seconds = {}
        self._task = SearchTask(config, data, create(config), device)
        update = self._task.update
        self._task.update = lambda purpose: self._timed(purpose, update)  # type: ignore[method-assign]

    @property
    def supernet(self) -> Supernet:
        """The one that is searched."""
        return self._task.supernet

    def __call__(self) -> Seconds:
        kernels.use(self._kernels)  # variants with other kernels take their turns in this process
        self._parts.clear()
        begin = self._clock()
        self._task.step(0, 0)
        both = self._clock() - begin
        return {**self._parts, "both": both}

    def _timed(self, purpose: Purpose, update: Callable[[Purpose], Sums]) -> Sums:
        begin = self._clock()
        sums = update(purpose)
        self._parts[purpose] = self._parts.get(purpose, 0.0) + self._clock() - begin
        return sums
