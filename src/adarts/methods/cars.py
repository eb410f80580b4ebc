"""CARS: a population shares the weights of the supernet and evolves towards a front of accuracy and size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import PositiveInt

from adarts.methods.base import MethodInfo, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.scored import SinglePaths
from adarts.searchers import Searcher, Trial
from adarts.searchers.cars import Cars as Generations
from adarts.searchers.cars import CarsOptions
from adarts.spaces import Genotype


@register
class Cars(SinglePaths):
    """Every step trains a member of the population; every few epochs, a generation is measured and selected.

    As published in the public code (huawei-noah/vega): in the warm-up, every step trains a random cell; after it, a random member
    of the population. Every 10 epochs, parents and as many children are measured on all images for the alphas, and pNSGA-III
    selects by accuracy and size, with protection of large cells.
    Different: normalization in measurements uses the statistics of the batches instead of running ones, which belong to mixed
    paths. The size is the number of parameters of the network that is as wide and deep as the supernet. The result is the whole
    front of the last generation, which follows the last epoch; its most accurate cells are also the found ones. The public code
    divides the front into four bins of size and keeps the best of each.
    Lost in the space of DARTS: `none` in derived cells.
    """

    info = MethodInfo(
        name="cars",
        title="CARS",
        year=2020,
        paper="Yang et al.: CARS: Continuous Evolution for Efficient Neural Architecture Search, CVPR 2020",
        changes="a population shares the weights of the supernet and evolves towards a front of accuracy and size",
        cost="about a fifth of DARTS: one operation of eight; 256 measurements every 10 epochs",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 500, "batch_size": 128, "warmup_epochs": 50},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.001,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
        },
        family="paths",
    )

    class Options(SinglePaths.Options, CarsOptions):
        images: PositiveInt = 25_000
        """Images that measure the accuracy of a cell."""
        every: PositiveInt = 10
        """Epochs between two generations."""

    options: Options
    searcher: Generations
    searcher_class = Generations

    def path(self, search: Search) -> Genotype:
        """A random cell in the warm-up, then a random member of the population."""
        if not search.progress.past_warmup:
            return super().path(search)
        population = self.searcher.population
        return population[int(torch.randint(len(population), ()))]

    def due(self, progress: Progress) -> bool:
        since = progress.epoch + 1 - progress.warmup_epochs
        return progress.is_last or (since > 0 and since % self.options.every == 0)

    def num_cells(self) -> int:
        """All cells of the generation, whose number may be smaller in a small space."""
        return len(self.searcher.queue)

    def choose(self, search: Search, searcher: Searcher, trials: Sequence[Trial]) -> Genotype:
        """The most accurate cells of the front."""
        return max(_front(searcher, trials), key=lambda trial: trial.score.value).genotype

    def front(self) -> Sequence[Trial]:
        return _front(self.searcher, self.trials)


def _front(searcher: Searcher, trials: Sequence[Trial]) -> list[Trial]:
    known = {trial.genotype: trial for trial in trials}
    return [known[genotype] for genotype in searcher.found() if genotype in known]
