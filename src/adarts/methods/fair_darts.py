"""FairDARTS: independent operation weights, pushed towards 0 or 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.stages import leave_out_none
from adarts.spaces import Space, at_least
from adarts.spaces.derivation import Candidate
from adarts.supernet import masked_mean


@register
class FairDarts(Method):
    """Every operation has an independent weight between 0 and 1, and a second loss drives it to one of the two.

    With alphas alpha, and without the operation `none`::

        edge(x) = sum_o sigmoid(alpha_o) o(x)
        L_alphas = L_val + w01 * L01      L01 = -mean over all edges and operations (sigmoid(alpha) - 0.5)^2

    The alphas start at 0. A node keeps the edges and operations of DARTS's rule whose weight is at least 0.85. A node without any
    is not an output of the cell, and edges that read it are removed. A cell that would be empty keeps its strongest operation on
    an input, and the search reports it. Short searches need a larger alphas.learning_rate or a lower threshold.
    """

    info = MethodInfo(
        name="fair-darts",
        title="FairDARTS",
        year=2020,
        paper="Chu, Zhou, Zhang, Li: Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search, ECCV 2020",
        changes="sigmoid instead of softmax, no `none`, a zero-one loss, cells by a threshold",
        cost="as DARTS",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 50, "batch_size": 128, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.005,
                "final_learning_rate": 0.001,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 3e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
        },
        replay="run",
    )

    class Options(Settings):
        w01: NonNegativeFloat = 10.0
        """Weight of the zero-one loss."""
        threshold: float = Field(default=0.85, ge=0, lt=1)
        """Smallest weight of an operation in the cell."""

    options: Options

    def budget_warning(self, search: Search) -> str | None:
        """Warn if the weights cannot reach the threshold."""
        phase, rate, threshold = search.progress, search.config.alphas.learning_rate, self.options.threshold
        steps = (phase.epochs - phase.warmup_epochs) * phase.steps
        largest = 1 / (1 + math.exp(-steps * rate))  # Adam changes an alpha by about its learning rate per step
        if largest >= threshold:
            return None
        return (
            f"in {steps} steps with alphas.learning_rate {rate:g}, no weight rises above {largest:.2f}; the threshold of "
            f"{threshold:g} would leave the cells empty; use a learning rate of "
            f"{2 * math.log(threshold / (1 - threshold)) / steps:.1g} or more, or a lower threshold"
        )

    def on_phase_start(self, search: Search) -> None:
        leave_out_none(search.supernet)
        with torch.no_grad():
            for kind in search.supernet.space.cell_kinds:
                search.supernet.alphas[kind].zero_()

    def weights(self, alpha_eo: Tensor, active_eo: Tensor) -> Tensor:
        return alpha_eo.sigmoid() * active_eo

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor:
        return -self.options.w01 * masked_mean((weights_eo - 0.5).square(), active_eo)

    def rule(self, space: Space, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return at_least(self.options.threshold)(space, candidates)

    def chosen_by(self) -> str:
        return "a threshold for each weight, and its weights do not compete"
