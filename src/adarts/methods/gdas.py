"""GDAS: one sampled operation on every edge."""

from dataclasses import replace

from pydantic import PositiveFloat
from torch import Tensor

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.gumbel import gumbel_softmax, one_hot, straight_through
from adarts.methods.protocols import NASBENCH201
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.spaces import strongest_pairs
from adarts.supernet import ArchWeights


@register
class Gdas(Method):
    """Every pass samples one operation per edge and computes only that one.

    With alphas A of an edge and Gumbel noise G, drawn for every pass and shared by all cells of a kind::

        p = softmax((log softmax(A) + G) / tau)      k = argmax p      h = onehot(k) - stop(p) + p
        edge(x) = h_k o_k(x)                         in the space of DARTS
        edge(x) = h_k o_k(x) + sum of all other h    in NAS-Bench-201

    h_k is 1 in the forward pass, and all other h are 0. In the backward pass, the gradient of h_k reaches all alphas of the edge.
    The two forms are those of the public code for the two spaces (option `constants`). Their gradients of the alphas differ
    clearly: the second one treats the output of an operation that was not sampled as 1. tau falls linearly. The weights are
    updated before the alphas. A node keeps its two strongest pairs of operation and edge, which may share an edge.
    """

    info = MethodInfo(
        name="gdas",
        title="GDAS",
        year=2019,
        paper="Dong, Yang: Searching for A Robust Neural Architecture in Four GPU Hours, CVPR 2019",
        changes="one sampled operation per edge, by Gumbel-softmax with a straight-through gradient",
        cost="about a fifth of DARTS: one operation of eight",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 250, "batch_size": 256, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.001,
                "momentum": 0.9,
                "nesterov": True,
                "weight_decay": 5e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 3e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
        },
        spaces={
            "nasbench201": {
                **NASBENCH201,
                "search": {"epochs": 250, "batch_size": 64, "warmup_epochs": 0},
                "options": {"constants": True},
            }
        },
    )

    class Options(Settings):
        first_temperature: PositiveFloat = 10.0
        """tau of the first epoch."""
        last_temperature: PositiveFloat = 0.1
        """tau of the last epoch."""
        constants: bool = False
        """Add the weights of the operations that were not sampled, which are 0, to the output of an edge."""

    options: Options
    rule = staticmethod(strongest_pairs)

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return "weights", "alphas"

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> tuple[Tensor, Tensor]:
        tau = progress.line(self.options.first_temperature, self.options.last_temperature)
        return straight_through(gumbel_softmax(alpha_eo, active_eo, tau))

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        return replace(super().arch_weights(search, purpose, x_bchw, y_b), constants=self.options.constants)

    def expected(self, alpha_eo: Tensor, active_eo: Tensor) -> tuple[Tensor, Tensor]:
        likely_eo = one_hot(self.weights(alpha_eo, active_eo))
        return likely_eo.to(alpha_eo.dtype), likely_eo
