"""SmoothDARTS: weights that are good for operation weights nearby, too, whether drawn or the worst ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo, Progress, Purpose, Search
from adarts.methods.darts import Darts
from adarts.methods.registry import register
from adarts.supernet import ArchWeights, Selection

_PAPER = "Chen, Hsieh: Stabilizing Differentiable Architecture Search via Perturbation-based Regularization, ICML 2020"

Weights = Mapping[str, Tensor]
"""Kind -> weights of the operations (edges, operations)."""


@register
class SdartsRs(Method):
    """The weights learn with operation weights that are moved at random; the alphas learn with clean ones.

    In the update of the weights, with the softmax p of the alphas and u drawn evenly from [-eps, eps]::

        q   = simplex(p + u)
        eps = epsilon + (final_epsilon - epsilon) * (share of the epochs behind the warm-up that are done; 0.03 to 0.3)

    ``simplex`` clips every weight to [0, 1] and divides the weights of an edge by their sum; where all of them are clipped to
    0, the operation that had the largest becomes 1. Edge weights (beta) are not moved.
    """

    info = MethodInfo(
        name="sdarts-rs",
        title="SDARTS, random smoothing",
        year=2020,
        paper=_PAPER,
        changes="the weights learn with randomly moved operation weights",
        cost="as DARTS",
        defaults=Darts.info.defaults,
    )

    class Options(Settings):
        epsilon: PositiveFloat = Field(default=0.03, le=1)
        """Largest change of an operation weight in the first epoch."""
        final_epsilon: PositiveFloat = Field(default=0.3, le=1)
        """Largest change that the epochs rise to; the epoch after the last one would have it."""

    options: Options

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        clean = super().arch_weights(search, purpose, x_bchw, y_b)
        if purpose == "alphas":
            return clean
        with torch.no_grad():
            moved = self.moved(search, clean, x_bchw, y_b)
        return replace(clean, operations=moved)

    def moved(self, search: Search, clean: ArchWeights, x_bchw: Tensor, y_b: Tensor) -> Weights:
        """The moved operation weights."""
        return drawn_nearby(clean.operations, search.supernet.active, self.epsilon(search.progress))

    def epsilon(self, progress: Progress) -> float:
        """Largest change of an operation weight in this epoch."""
        return self.options.epsilon + (self.options.final_epsilon - self.options.epsilon) * progress.fraction


@register
class SdartsAdv(SdartsRs):
    """The weights learn with the worst operation weights nearby; the alphas learn with clean ones.

    In the update of the weights, from the softmax p of the alphas, L the training loss of the batch at hand::

        q_0 = simplex(p + u),   u even in [-eps, eps]
        q_i = simplex(p + clip(q_(i-1) + 2 eps / steps * sign(grad_q L(q_(i-1))) - p, -eps, eps)),   i = 1 .. steps

    and p itself where L(q_steps) is not above L(p); ``simplex`` and eps as in ``sdarts-rs``, 7 steps. During the attack running
    statistics normalize, and do not move. All its passes use the channels that attention chooses in the first one: with others,
    the loss would change without an attack.
    """

    info = MethodInfo(
        name="sdarts-adv",
        title="SDARTS, adversarial",
        year=2020,
        paper=_PAPER,
        changes="the weights learn with the worst operation weights nearby",
        cost="about 4 times DARTS: nine forward and seven backward passes more a step",
        defaults=Darts.info.defaults,
    )

    class Options(SdartsRs.Options):
        steps: PositiveInt = 7
        """Steps of the attack."""

    options: Options

    def moved(self, search: Search, clean: ArchWeights, x_bchw: Tensor, y_b: Tensor) -> Weights:
        """What the attack finds."""
        net = search.supernet
        frozen = {name: parameter.detach() for name, parameter in net.named_parameters()}
        selection: Selection | None = None

        def loss(operations: Weights) -> Tensor:
            nonlocal selection
            arch_weights = replace(clean, operations=operations)
            found, _ = search.loss(x_bchw, y_b, arch_weights, parameters=frozen, selection=selection or "batch")
            selection = selection or net.selection
            return found

        net.eval()
        try:
            return attack(loss, clean.operations, net.active, self.epsilon(search.progress), self.options.steps)
        finally:
            net.train()


def simplex(q_eo: Tensor, active_eo: Tensor) -> Tensor:
    """Operation weights that are made ones again: in [0, 1], with the sum 1 on every edge, and 0 where not active."""
    q_eo = q_eo.masked_fill(~active_eo, -torch.inf)
    clipped_eo = q_eo.clamp(0, 1)
    largest_eo = F.one_hot(q_eo.argmax(-1), q_eo.shape[-1]).to(q_eo) * active_eo
    clipped_eo = torch.where(clipped_eo.any(-1, keepdim=True), clipped_eo, largest_eo)
    # An edge without any active operation has the sum 0.
    return clipped_eo / clipped_eo.sum(-1, keepdim=True).clamp_min(torch.finfo(q_eo.dtype).tiny)


def drawn_nearby(clean: Weights, active: Weights, epsilon: float) -> dict[str, Tensor]:
    """Operation weights that differ from the clean ones by up to epsilon, evenly drawn."""
    return {
        kind: simplex(p_eo + epsilon * (2 * torch.rand_like(p_eo) - 1), active[kind]) for kind, p_eo in clean.items()
    }


def attack(
    loss_of: Callable[[Weights], Tensor], clean: Weights, active: Weights, epsilon: float, steps: int
) -> dict[str, Tensor]:
    """Operation weights near the clean ones with a higher loss; the clean ones where none was found."""
    before, moved = loss_of(clean), drawn_nearby(clean, active, epsilon)
    for _ in range(steps):
        for q_eo in moved.values():
            q_eo.requires_grad_()
        with torch.enable_grad():
            gradient = torch.autograd.grad(loss_of(moved), list(moved.values()))
        for (kind, p_eo), g_eo in zip(clean.items(), gradient, strict=True):
            away_eo = moved[kind].detach() + 2 * epsilon / steps * g_eo.sign() - p_eo
            moved[kind] = simplex(p_eo + away_eo.clamp(-epsilon, epsilon), active[kind])
    rose = loss_of(moved) > before
    return {kind: torch.where(rose, q_eo, clean[kind]) for kind, q_eo in moved.items()}
