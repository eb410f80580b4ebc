"""ENAS: a controller writes the paths that are trained and learns from their accuracies with shared weights."""

from __future__ import annotations

import torch
from pydantic import PositiveInt

from adarts.methods.base import MethodInfo, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.scored import SinglePaths
from adarts.searchers.enas import Enas as Controller
from adarts.searchers.enas import EnasOptions
from adarts.spaces import Genotype


@register
class Enas(SinglePaths):
    """Every step trains a cell that the controller writes; after each epoch the controller learns from new cells.

    As published: after an epoch, the controller writes 30 times 10 cells (in NAS-Bench-201, 50 times 20). Each is measured on one
    batch of images for the alphas, normalized by its own statistics, and the controller learns after every 10 (20). The result is
    the best of the last cells.
    Different: a measurement takes a batch of twice the size. The learning rate follows one cosine, without restarts. Weights that
    a step does not use stay as they are; in the public code, they decay. Half of the images is for the controller, in place of
    5,000. The search has no drop path, dropout or auxiliary head.
    Lost in the space of DARTS: nodes that read a source twice, a fifth node, outputs that are only the loose ends, and weights of
    an operation for each of its sources.
    """

    info = MethodInfo(
        name="enas",
        title="ENAS",
        year=2018,
        paper="Pham et al.: Efficient Neural Architecture Search via Parameter Sharing, ICML 2018",
        changes="a controller writes the paths that are trained, and learns from their accuracies with shared weights",
        cost="about a fifth of DARTS: one operation of eight; 300 measurements after every epoch",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 20, "cells": 8},
            "search": {"epochs": 150, "batch_size": 160, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.05,
                "final_learning_rate": 0.0005,
                "momentum": 0.9,
                "nesterov": True,
                "weight_decay": 2e-4,
                "clip": float("inf"),
            },
        },
        spaces={
            "nasbench201": {
                "search": {"epochs": 310, "batch_size": 128},
                "weights": {"weight_decay": 2.5e-4, "clip": 5.0},
                "options": {"cells": 1000, "images": 512},
            }
        },
        family="paths",
    )

    class Options(SinglePaths.Options, EnasOptions):
        cells: PositiveInt = 300
        """Cells that are measured after an epoch."""
        images: PositiveInt = 160
        """Images that measure the accuracy of a cell."""

    options: Options
    searcher_class = Controller

    def path(self, search: Search) -> Genotype:
        """A cell of the controller. Its number is negative, so that it is no proposal of a round."""
        return self.searcher.ask(-1 - int(torch.randint(2**62, ())))

    def due(self, progress: Progress) -> bool:
        return True

    def num_cells(self) -> int:
        return self.options.cells
