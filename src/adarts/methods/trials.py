"""Trials: train many cells alone for a few steps, and learn from them which cells are large and train fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from adarts.config.settings import Settings
from adarts.engine.update import Sums
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.scored import known_cells
from adarts.models.limits import Limits, Shape, sizes_within
from adarts.models.stem import stride_for
from adarts.seeding import derive_seed, generator
from adarts.spaces import Genotype, Space, neighbors, random_genotype
from adarts.supernet import Supernet

PARENTS = 5
"""The next trial is a neighbor of one of this many cells."""
PRIOR = 8.0
"""Precision of the prior of the linear model, in units of the precision of a trial."""


@dataclass(frozen=True)
class Trial:
    """A cell that was trained alone, and the mean loss over the steps of its training."""

    genotype: Genotype
    loss: float


@register
class Trials(Method):
    """Cells are trained alone for a few steps each; the search looks for cells that are large and train fast.

    A trial starts from initial weights and takes `options.steps` steps on new images. The score of a cell adds its size and its
    training speed, each as a z-score among the first `options.drawn` cells: `options.known`, if given, and random ones::

        score = w z(log parameters) + z(- mean loss over the steps)        w = options.size_weight

    The parameters are those of a network with `options.channels` channels and `options.cells` cells. If there are limits, they
    are those of the widest network up to this width that meets them, so that what could not be delivered earns nothing. The unit
    of z is the spread without limits: with them, most sizes may be nearly equal, and their differences must not gain weight.

    Both halves are needed: large cells train slowly at first, and cells of pools, which do not get far, train fast. The speed
    of a single trial is noisy. So a Bayesian linear regression learns the speed from the operations on all edges, from how
    often each kind of cell has each operation, and from which edges it keeps. Each further trial takes, among all cells that
    differ in one edge from one of the five best ones so far, the cell with the highest score by a sample of the regression
    (Thompson sampling). The result is the tried cell with the highest score by the mean of the regression.

    The mean loss over a training as a measure of a cell is training speed estimation (Ru et al., NeurIPS 2021); TE-NAS (Chen et
    al., ICLR 2021) adds the ranks of a measure of trainability and a measure of capacity. No operation is excluded. There are
    no alphas. Weights are trained on the half of the images for the weights.
    """

    info = MethodInfo(
        name="trials",
        title="Trials",
        year=2026,
        paper="this project: results/trials",
        changes="cells are trained alone for a few steps; a linear model proposes cells that are large and train fast",
        cost="a training of 40 steps for every cell",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 8, "cells": 5},
            "search": {"epochs": 10, "batch_size": 64, "steps": 800, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.05,
                "final_learning_rate": 0.05,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "images": {"size": 16},
        },
        family="alone",
        replay="run",
    )

    class Options(Settings):
        steps: PositiveInt = 40
        """Steps of a trial."""
        drawn: int = Field(default=50, ge=2)
        """Cells that are tried before any is proposed. With as many as there are trials, nothing is proposed."""
        known: str | None = None
        """The cell that is tried first, as text, for example a published one; random cells follow."""
        size_weight: NonNegativeFloat = 1.0
        """Weight of the size in the score; 0 looks at the training speed alone."""
        channels: int = Field(default=32, ge=2, multiple_of=2)
        """Width of the network whose parameters are the size of a cell, even; limits may ask for less."""
        cells: int = Field(default=8, ge=3)
        """Depth of this network."""
        image_size: PositiveInt | None = None
        """Side of the images of this network, in pixels, for its MACs; none: that of the images of the search."""
        max_params: PositiveInt | None = None
        """Limit on the parameters of this network."""
        max_macs: PositiveInt | None = None
        """Limit on its multiply-accumulate operations per image."""

    options: Options

    def on_phase_start(self, search: Search) -> None:
        x_bchw, _ = search.batch("weights")
        _, in_channels, height, width = x_bchw.shape
        side = self.options.image_size
        image_size = (height, width) if side is None else (side, side)
        shape = Shape(search.supernet.classifier.out_features, in_channels, image_size, stride_for(image_size))
        self.sizes = Sizes(self.options, shape)
        self.known = self._known(search.supernet.space)
        #: the finished trials, in order
        self.trials: list[Trial] = []
        #: the cell in training
        self.current: Genotype
        #: steps, loss and images of its training so far
        self._sums: list[Tensor | float] = []
        self._begin(search)

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return ("weights",)

    def observe(self, search: Search, sums: Sums) -> None:
        """Add up the losses; after the last step of a trial, begin the next one."""
        steps, loss, images = self._sums
        self._sums = [steps + 1, loss + sums["loss"], images + sums["images"]]
        if self._sums[0] == self.options.steps:
            self.trials.append(Trial(self.current, float(self._sums[1] / self._sums[2])))
            self._begin(search)
            search.restart_weights()

    def _known(self, space: Space) -> Genotype | None:
        """The cell that is tried first, if it is given."""
        return None if self.options.known is None else known_cells(self.options.known, space)

    def _begin(self, search: Search) -> None:
        """Propose a cell, and keep only its operations."""
        net = search.supernet
        self.current = self._propose(search, net.space)
        self._sums = [0, 0.0, 0.0]
        for kind in net.space.cell_kinds:
            net.set_active(kind, self.current.mask(kind))

    def _propose(self, search: Search, space: Space) -> Genotype:
        number, seed = len(self.trials), search.config.seed
        if number == 0 and self.known is not None:
            return self.known
        if number < self.options.drawn:
            return random_genotype(space, derive_seed(seed, "trial", number))
        scores, tried = self._scores(space), self._tried()
        best = scores.mean(tried).sort(descending=True, stable=True).indices[:PARENTS]
        near = dict.fromkeys(cell for index in best.tolist() for cell in neighbors(tried[index], space))
        new = [cell for cell in near if cell not in set(tried)] or list(near)  # a small space may be exhausted
        return new[int(scores.sampled(new, generator(seed, "proposal", number)).argmax())]

    def _tried(self) -> list[Genotype]:
        """The cells that were tried, each once."""
        return list(dict.fromkeys(trial.genotype for trial in self.trials))

    def _scores(self, space: Space) -> Scores:
        return Scores(space, self.trials, self.options.drawn, self.options.size_weight, self.sizes)

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Record the trials that have finished since the last epoch."""
        new = self.trials[search.progress.epoch * search.progress.steps // self.options.steps :]
        return {
            "finished": [{"cells": trial.genotype.to_dict()["cells"], "loss": trial.loss} for trial in new],
        }

    def budget_warning(self, search: Search) -> str | None:
        loop = search.config.search
        number = loop.epochs * search.progress.steps // self.options.steps
        if number >= 2 * self.options.drawn:
            return None
        return (
            f"this budget allows {number} trials, and the first {self.options.drawn} of them are random; "
            "give more epochs (--search.epochs), or fewer random cells (--options drawn=N)"
        )

    def derive(self, supernet: Supernet) -> Genotype:
        """The tried cell with the highest expected score; before two trials have finished, the first cell."""
        if len(self.trials) < 2:
            return self.trials[0].genotype if self.trials else self.current
        tried = self._tried()
        return tried[int(self._scores(supernet.space).mean(tried).argmax())]

    def chosen_by(self) -> str:
        return "the sizes and the training speeds of cells"

    def state_dict(self) -> dict[str, Any]:
        return {
            "trials": [{"genotype": trial.genotype.to_dict(), "loss": trial.loss} for trial in self.trials],
            "current": self.current.to_dict(),
            "sums": list(self._sums),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.trials = [Trial(Genotype.from_dict(one["genotype"]), one["loss"]) for one in state["trials"]]
        self.current = Genotype.from_dict(state["current"])
        self._sums = list(state["sums"])


class Sizes:
    """The logarithm of the number of parameters of the networks of cells.

    Args:
        options: width and depth of the networks, and their limits.
        shape: what the images demand.
    """

    def __init__(self, options: Trials.Options, shape: Shape) -> None:
        self._place = options.cells, shape
        self._limits, self._most = Limits(options.max_params, options.max_macs), options.channels

    def __call__(self, cells: Sequence[Genotype]) -> Tensor:
        """Within the limits, float64 (cells,)."""
        return sizes_within(cells, *self._place, self._limits, self._most).log()

    def unlimited(self, cells: Sequence[Genotype]) -> Tensor:
        """Without limits, float64 (cells,)."""
        return sizes_within(cells, *self._place, Limits(), self._most).log()


class Scores:
    """The scores of cells, as far as the finished trials tell.

    Args:
        space: the search space.
        trials: the finished trials, at least two.
        drawn: number of cells at the beginning that were not proposed; their spread is the unit of size and speed.
        size_weight: weight of the size.
        sizes: the sizes of cells.
    """

    def __init__(self, space: Space, trials: Sequence[Trial], drawn: int, size_weight: float, sizes: Sizes) -> None:
        self.space, self._size_weight, self._sizes = space, size_weight, sizes
        cells = [trial.genotype for trial in trials]
        speeds_t = torch.tensor([-trial.loss for trial in trials], dtype=torch.float64)
        self._standard_size = _Standard(sizes.unlimited(cells[:drawn]))
        speeds_t = _Standard(speeds_t[:drawn])(speeds_t)
        features_tf = features(space, cells)
        self._center_f, self._level = features_tf.mean(0), speeds_t.mean()
        centered_tf = features_tf - self._center_f
        precision_ff = centered_tf.T @ centered_tf + PRIOR * torch.eye(centered_tf.shape[1], dtype=torch.float64)
        self._root_ff = torch.linalg.cholesky(precision_ff)
        target_f1 = (centered_tf.T @ (speeds_t - self._level))[:, None]
        self._slopes_f = torch.cholesky_solve(target_f1, self._root_ff)[:, 0]
        self._noise = (speeds_t - self._level - centered_tf @ self._slopes_f).std(correction=0)

    def mean(self, cells: Sequence[Genotype]) -> Tensor:
        """The expected scores of cells."""
        return self._scored(cells, self._slopes_f)

    def sampled(self, cells: Sequence[Genotype], draws: torch.Generator) -> Tensor:
        """The scores of cells by one sample of the regression's slopes."""
        normal_f1 = torch.randn(len(self._slopes_f), 1, generator=draws, dtype=torch.float64)
        shift_f = torch.linalg.solve_triangular(self._root_ff.T, normal_f1, upper=True)[:, 0]
        return self._scored(cells, self._slopes_f + self._noise * shift_f)

    def _scored(self, cells: Sequence[Genotype], slopes_f: Tensor) -> Tensor:
        speeds_c = self._level + (features(self.space, cells) - self._center_f) @ slopes_f
        return self._size_weight * self._standard_size(self._sizes(cells)) + speeds_c


class _Standard:
    """Turns values into z-scores of a sample; all are 0 if the sample has no spread."""

    def __init__(self, sample: Tensor) -> None:
        self.mean, self.sd = sample.mean(), sample.std(correction=0)

    def __call__(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.sd if self.sd > 0 else torch.zeros_like(values)


def cell_masks(space: Space, cells: Sequence[Genotype]) -> Tensor:
    """The operations of cells as masks, bool (cells, kinds, edges, operations)."""
    return torch.tensor([[cell.mask(kind) for kind in space.cell_kinds] for cell in cells])


def features(space: Space, cells: Sequence[Genotype]) -> Tensor:
    """What the regression knows of cells, (cells, features): operations of edges, counts of operations, and kept edges."""
    masks_ckeo = cell_masks(space, cells).double()
    return torch.cat([part.flatten(1) for part in (masks_ckeo, masks_ckeo.sum(2), masks_ckeo.sum(3))], 1)
