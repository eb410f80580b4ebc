"""Random search with parameter sharing."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import PositiveInt

from adarts.methods.base import MethodInfo, Search
from adarts.methods.protocols import NASBENCH201
from adarts.methods.registry import register
from adarts.methods.scored import Accuracy, SinglePaths
from adarts.searchers import Searcher, Trial
from adarts.searchers.random_search import RandomSearch
from adarts.spaces import Genotype


@register
class Rsps(SinglePaths):
    """Every step trains a random cell of the supernet; at the end, random cells are compared with these shared weights.

    As published: after the last epoch, 1,000 random cells are measured on 10 batches of 64 images each, and the ten best ones on
    all images of this half; the best of these is kept.

    Different here: normalization uses the statistics of the batches instead of running ones. The public code repeats the
    selection once for every 10,000 steps; here it runs once. The published cells may contain `none`, which cells of DARTS cannot.
    """

    info = MethodInfo(
        name="rsps",
        title="Random search with shared weights",
        year=2019,
        paper="Li, Talwalkar: Random Search and Reproducibility for Neural Architecture Search, UAI 2019",
        changes="every step trains one random cell of the supernet; random cells are compared with these weights",
        cost="about a fifth of DARTS: one operation of eight; 1,000 measurements at the end",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 24, "cells": 8},
            "search": {"epochs": 150, "batch_size": 64, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.001,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 1.0,
            },
        },
        spaces={
            "nasbench201": {"search": {"epochs": 250, "batch_size": 64}, "weights": NASBENCH201["weights"]},
        },
        family="paths",
    )

    class Options(SinglePaths.Options):
        cells: PositiveInt = 1000
        """Random cells that are measured at the end."""
        finalists: PositiveInt = 10
        """The best of these cells, which are measured again on all images for the alphas."""

    options: Options
    searcher_class = RandomSearch

    def num_cells(self) -> int:
        return self.options.cells

    def choose(self, search: Search, searcher: Searcher, trials: Sequence[Trial]) -> Genotype:
        evaluate = Accuracy(search, images=None)
        return max(searcher.found()[: self.options.finalists], key=lambda cells: evaluate(cells, 0).value)
