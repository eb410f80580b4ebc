"""EoiNAS: relaxed samples; operations are dropped by their alphas and the accuracies measured when they were sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from adarts.config.settings import Settings
from adarts.engine.update import Sums
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.gumbel import gumbel_softmax, one_hot
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.stages import since_warmup, skip_dropout, strongest
from adarts.spaces import Genotype, derive
from adarts.supernet import Supernet

_PUBLISHED_EPOCHS = 140  # after the warm-up


@register
class EoiNas(Method):
    """Every pass weights the operations by a relaxed sample; every edge drops one operation after the other.

    With Gumbel noise G, drawn for every pass and shared by all cells of a kind::

        Z = softmax((alpha + G) / tau),   tau = 5 in the warm-up of 20 epochs, then 5 * 0.965^(epoch - 20)

    The weights are updated before the alphas. Seven times, every 20 epochs, each edge drops its least important operation::

        I = softmax(alpha) + 0.5 A / (F + 1)

    F counts the alpha passes since the last drop in which the operation had the largest weight on its edge. A is the accuracy in
    the last of these passes, in percent. The seventh drop, from two operations to one, is the derivation: I ranks both operations
    and edges, and in the space of DARTS `none` is never kept. If the number of epochs differs from the published 160, the drops
    divide the epochs after the warm-up into seven equal parts, and tau falls to the same value. Skip connections have the dropout
    of P-DARTS, starting at 0.1.
    """

    info = MethodInfo(
        name="eoi-nas",
        title="EoiNAS",
        year=2019,
        paper="Xie, Zhou, Kung: Exploiting Operation Importance for Differentiable Neural Architecture Search, 2019",
        changes="relaxed samples; every 20 epochs each edge drops its least important operation; dropout on skip connections",
        cost="as DARTS at first, less after every drop; 160 epochs",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
            "supernet": {"channels": 16, "cells": 8},
            "search": {"epochs": 160, "batch_size": 64, "warmup_epochs": 20},
            "weights": {
                "learning_rate": 0.025,
                "final_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 6e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": 5.0},
        },
    )

    class Options(Settings):
        temperature: PositiveFloat = 5.0
        """tau in the warm-up."""
        decay: float = Field(default=0.965, gt=0, le=1)
        """Factor of tau per epoch, for the published 140 epochs after the warm-up."""
        dropout: float = Field(default=0.1, ge=0, lt=1)
        """Initial dropout on skip connections."""

    options: Options

    def on_phase_start(self, search: Search) -> None:
        """Reset the statistics of the samples."""
        zeros = [{kind: active_eo.float() * 0 for kind, active_eo in search.supernet.active.items()} for _ in range(2)]
        #: by kind, since the last drop: number of alpha passes in which an operation was sampled, accuracy in the last, percent
        self.samples, self.accuracy = zeros
        #: the samples of the passes of this step, kind by kind (edges, operations)
        self._sampled: list[Tensor] = []

    def temperature(self, progress: Progress) -> float:
        """Tau, constant within an epoch."""
        return self.options.temperature * math.pow(self.options.decay, since_warmup(progress, _PUBLISHED_EPOCHS))

    def skip_dropout(self, progress: Progress) -> float:
        return skip_dropout(self.options.dropout, progress, _PUBLISHED_EPOCHS)

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return "weights", "alphas"

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Tensor:
        weights_eo = gumbel_softmax(alpha_eo, active_eo, self.temperature(progress))
        self._sampled.append(one_hot(weights_eo))
        return weights_eo

    def observe(self, search: Search, sums: Sums) -> None:
        """Store the accuracy of the last sample, which was used for the alphas."""
        if "alphas_images" in sums:
            percent = torch.as_tensor(100 * sums["alphas_correct"] / sums["alphas_images"])
            for kind, sampled_eo in zip(self.samples, self._sampled[-len(self.samples) :], strict=True):
                self.samples[kind] += sampled_eo
                self.accuracy[kind] = torch.where(sampled_eo, percent, self.accuracy[kind])
        self._sampled.clear()

    def importance(self, supernet: Supernet) -> dict[str, Tensor]:
        """I by kind of cell, (edges, operations); 0 for inactive operations."""
        result = {}
        for kind, weights_eo in self.operation_weights(supernet).items():
            gain_eo = 0.5 * self.accuracy[kind] / (self.samples[kind] + 1)
            result[kind] = weights_eo + gain_eo * supernet.active[kind]
        return result

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Drop operations, if a drop is due."""
        net = search.supernet
        count = self._remaining(search, len(net.space.operations))
        importance = self.importance(net)
        record = {
            "temperature": self.temperature(search.progress),
            "skip_dropout": self.skip_dropout(search.progress),
            "importance": {kind: scores_eo.tolist() for kind, scores_eo in importance.items()},
        }
        if _most_active(net) > count:
            for kind, scores_eo in importance.items():
                net.set_active(kind, strongest(scores_eo, net.active[kind], count))
            search.restart_alphas()
            if not search.progress.is_last:  # the derivation still needs the statistics
                self.on_phase_start(search)
        return {**record, "operations": _most_active(net)}

    def derive(self, supernet: Supernet) -> Genotype:
        """The last drop: apply the rule of DARTS to the importance."""
        return derive(supernet.space, self.importance(supernet), self.edge_weights(supernet))

    def chosen_by(self) -> str:
        return "weights and measured accuracies of the operations together"

    def state_dict(self) -> dict[str, Any]:
        return {"samples": dict(self.samples), "accuracy": dict(self.accuracy)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for own, saved in ((self.samples, state["samples"]), (self.accuracy, state["accuracy"])):
            for kind, tensor_eo in own.items():
                tensor_eo.copy_(saved[kind])

    def _remaining(self, search: Search, operations: int) -> int:
        """Operations per edge after this epoch; at least two, because the last drop is the derivation."""
        progress, warmup = search.progress, search.progress.warmup_epochs
        drops = max(0, (operations - 1) * (progress.epoch + 1 - warmup) // (progress.epochs - warmup))
        return max(2, operations - drops)


def _most_active(supernet: Supernet) -> int:
    """Largest number of active operations on an edge; a space may allow fewer on some edges."""
    return max(int(active_eo.sum(-1).max()) for active_eo in supernet.active.values())
