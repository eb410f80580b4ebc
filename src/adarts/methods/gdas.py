"""GDAS: one sampled operation on every edge."""

from __future__ import annotations

from dataclasses import replace

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from adarts.config.settings import SearchConfig, Settings
from adarts.methods.base import Method, MethodInfo, Phase, Progress, Purpose, Search, Sums
from adarts.methods.gumbel import gumbel_softmax, straight_through
from adarts.methods.registry import register
from adarts.spaces import Genotype, Space, derive, strongest_pairs
from adarts.supernet import ArchWeights, Supernet


@register
class Gdas(Method):
    """Every pass draws one operation for each edge of a cell kind, and computes only that one.

    With alphas A of an edge and Gumbel noise G, drawn anew for every pass and shared by all cells of a kind::

        p = softmax((log softmax(A) + G) / tau)      k = argmax p      h = onehot(k) - stop(p) + p
        edge(x) = h_k o_k(x)

    h_k is 1 forwards; backwards its gradient reaches all alphas of the edge through the softmax. tau falls along a line from 10
    in the first epoch behind the warm-up to 0.1 in the last, as the authors' README corrects their paper. A step moves the
    weights first, then the alphas. A node keeps the two strongest pairs of operation and edge, which may lie on the same edge.

    The public code also starts anew while p is not finite, which never ends once the alphas are not; here only the noise is
    drawn again. It has a batch normalization and a ReLU before the global pooling, which this supernet has not. Validation of
    the supernet takes the most likely operation of every edge.
    """

    info = MethodInfo(
        name="gdas",
        title="GDAS",
        year=2019,
        paper="Dong, Yang: Searching for A Robust Neural Architecture in Four GPU Hours, CVPR 2019",
        changes="one operation drawn for every edge, by Gumbel-softmax with a straight-through gradient",
        cost="about a fifth of DARTS: one operation of eight",
        defaults={
            "edge": {"selector": "all", "k": 1, "attention": False},
            "search": {"epochs": 250, "batch_size": 256, "warmup_epochs": 0},
            "weights": {"final_learning_rate": 0.001, "weight_decay": 5e-4, "nesterov": True},
            "alphas": {"learning_rate": 3e-4},
        },
        replay="never",
    )

    class Options(Settings):
        """Of GDAS."""

        first_temperature: PositiveFloat = 10.0
        """tau of the first epoch."""
        last_temperature: PositiveFloat = 0.1
        """tau of the last epoch."""

    options: Options

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """One phase, whose passes hold one operation of every edge."""
        (phase,) = super().phases(config, space)
        return (replace(phase, num_operations=1),)

    def temperature(self, progress: Progress) -> float:
        """tau, constant within an epoch."""
        first, last = self.options.first_temperature, self.options.last_temperature
        return first + (last - first) * progress.fraction_to_last

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        """One operation of every edge, drawn."""
        net, tau = search.supernet, self.temperature(search.progress)
        drawn = {
            kind: straight_through(gumbel_softmax(net.alphas[kind], active_eo, tau))
            for kind, active_eo in net.active.items()
        }
        weights = {kind: weights_eo for kind, (weights_eo, _) in drawn.items()}
        return ArchWeights(weights, self.edge_weights(net), {kind: chosen_eo for kind, (_, chosen_eo) in drawn.items()})

    def plain_arch_weights(self, search: Search) -> ArchWeights:
        """The most likely operation of every edge."""
        weights = self.operation_weights(search.supernet)
        chosen = {kind: F.one_hot(w_eo.argmax(-1), w_eo.shape[-1]) for kind, w_eo in weights.items()}
        return ArchWeights(
            {kind: chosen_eo.to(weights[kind].dtype) for kind, chosen_eo in chosen.items()},
            self.edge_weights(search.supernet),
            {kind: chosen_eo.bool() for kind, chosen_eo in chosen.items()},
        )

    def update(self, search: Search) -> Sums:
        """The weights first, then the alphas."""
        sums = search.update_weights()
        return {**sums, **search.update_alphas()} if search.alphas_active else sums

    def derive(self, supernet: Supernet) -> Genotype:
        """The strongest pairs of every node."""
        return derive(
            supernet.space, self.operation_weights(supernet), self.edge_weights(supernet), rule=strongest_pairs
        )
