"""SNAS: all operations are weighted by a relaxed sample, and their cost is penalized."""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.gumbel import gumbel_softmax
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.models import operation_cost
from adarts.models.cost import places
from adarts.models.stem import after_stem
from adarts.seeding import generator
from adarts.spaces import decided_edges
from adarts.supernet import ArchWeights, Supernet


@register
class Snas(Method):
    """Every pass weights the operations by a relaxed sample that hardens over time; one backward pass trains everything.

    With alphas log alpha of an edge and Gumbel noise G, drawn for every pass and shared by all cells of a kind::

        Z = softmax((log alpha + G) / lambda)      edge(x) = sum_o Z_o o(x)
        L = CE + eta * (mean over normal cells R + mean over reduction cells R)
        R = sum over edges (log size + log MACs + log access) / 3

    size, MACs and access (numbers read and written) are sums over an edge's operations, weighted by Z; values below 1 count as
    1. lambda falls linearly from 1 to 0.03, which it would reach after the last epoch. The alphas are initialized from N(1,
    0.01^2). Weights and alphas learn from the same batches of all training images. In training, every edge of every cell is left
    out for an image with probability `drop_path`; what remains is divided by 1 - `drop_path`. In the derived cell, every edge has
    its best operation, which may be `none`.
    """

    info = MethodInfo(
        name="snas",
        title="SNAS",
        year=2018,
        paper="Xie, Zheng, Liu, Lin: SNAS: Stochastic Neural Architecture Search, ICLR 2019",
        changes="relaxed samples, one level, a penalty on size, MACs and memory access; edges may vanish",
        cost="about 0.6 of a step of DARTS (one pass instead of two), but twice the steps per epoch; the same memory",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 150, "batch_size": 64, "warmup_epochs": 0},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.001,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 3e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": 10.0},
        },
    )

    class Options(Settings):
        eta: NonNegativeFloat = 1.5e-3
        """Weight of the cost penalty; larger values leave fewer and cheaper operations."""
        first_temperature: PositiveFloat = 1.0
        """lambda in the first epoch."""
        last_temperature: PositiveFloat = 0.03
        """lambda after the last epoch."""
        drop_path: float = Field(default=0.3, ge=0, lt=1)
        """Probability that an edge of the supernet is left out for an image; the same in all epochs."""

    options: Options
    single_level = True
    rule = staticmethod(decided_edges)

    def on_phase_start(self, search: Search) -> None:
        net, draws = search.supernet, generator(search.config.seed, "snas alphas")
        with torch.no_grad():
            for kind in net.space.cell_kinds:
                net.alphas[kind].copy_(1 + 0.01 * torch.randn(net.alphas[kind].shape, generator=draws))
        x_bchw, _ = search.batch("weights")
        height, width = x_bchw.shape[2:]
        self._prices = [table.to(x_bchw.device) for table in prices(net, (height, width)).values()]

    def temperature(self, progress: Progress) -> float:
        """Lambda, constant within an epoch."""
        first, last = self.options.first_temperature, self.options.last_temperature
        return first + (last - first) * progress.fraction

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Tensor:
        return gumbel_softmax(alpha_eo, active_eo, self.temperature(progress))

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        return replace(super().arch_weights(search, purpose, x_bchw, y_b), drop_path=self.options.drop_path)

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor:
        kinds = zip(weights_eo.chunk(len(self._prices)), self._prices, strict=True)
        return self.options.eta * torch.stack([price(kind_eo, prices_leoc) for kind_eo, prices_leoc in kinds]).sum()


def prices(supernet: Supernet, image_size: tuple[int, int]) -> dict[str, Tensor]:
    """Costs of the operations by kind of cell, (cells, edges, operations, 3): size, MACs, access."""
    space = supernet.space
    seen = after_stem(image_size, supernet.stem_stride)
    tables: dict[str, list[Tensor]] = {}
    for kind, edges in places(space, supernet.cell_channels[0], len(supernet.kinds), seen):
        costs = [
            [operation_cost(name, at.channels, at.stride, at.image_size) for name in space.operations] for at in edges
        ]
        rows = [[(cost.parameters, cost.macs, cost.accesses) for cost in row] for row in costs]
        tables.setdefault(kind, []).append(torch.tensor(rows, dtype=torch.float32))
    return {kind: torch.stack(cells) for kind, cells in tables.items()}


def price(weights_eo: Tensor, prices_leoc: Tensor) -> Tensor:
    """Mean R over the cells of a kind; operation weights (edges, operations), prices (cells, edges, operations, 3)."""
    expected_lec = torch.einsum("eo,leoc->lec", weights_eo, prices_leoc)
    return expected_lec.clamp(min=1).log().mean(-1).sum(-1).mean()
