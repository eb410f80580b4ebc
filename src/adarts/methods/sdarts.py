"""SmoothDARTS: train the weights with perturbed operation weights, either random or adversarial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.darts import Darts
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.stages import WithNone, leave_out_none
from adarts.supernet import ArchWeights, Selection

_PAPER = "Chen, Hsieh: Stabilizing Differentiable Architecture Search via Perturbation-based Regularization, ICML 2020"
_SPACES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "darts": {"options": {"with_none": False}},
    "nasbench201": {"search": {"epochs": 100}},
}

Weights = Mapping[str, Tensor]
"""Operation weights (edges, operations) by kind of cell."""


@register
class SdartsRs(Method):
    """The weights learn with randomly perturbed operation weights; the alphas learn with unperturbed ones.

    In the update of the weights, with the softmax p of the alphas and u uniform in [-eps, eps]::

        q   = simplex(p + u)
        eps = epsilon + (final_epsilon - epsilon) * (share of finished epochs after the warm-up), from 0.03 to 0.3

    ``simplex`` clips every weight to [0, 1] and divides the weights of an edge by their sum. If all of them are clipped to 0,
    the operation with the largest weight becomes 1. Edge weights (beta) are not perturbed. As published, the space of DARTS is
    searched without `none`, and S3 and NAS-Bench-201 with it.
    """

    info = MethodInfo(
        name="sdarts-rs",
        title="SDARTS, random smoothing",
        year=2020,
        paper=_PAPER,
        changes="the weights learn with randomly perturbed operation weights",
        cost="as DARTS",
        defaults=Darts.info.defaults,
        spaces=_SPACES,
    )

    class Options(WithNone):
        epsilon: PositiveFloat = Field(default=0.03, le=1)
        """Largest change of an operation weight in the first epoch."""
        final_epsilon: PositiveFloat = Field(default=0.3, le=1)
        """Largest change after the last epoch."""

    options: Options

    def on_phase_start(self, search: Search) -> None:
        if not self.options.with_none:
            leave_out_none(search.supernet)

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        clean = super().arch_weights(search, purpose, x_bchw, y_b)
        if purpose == "alphas":
            return clean
        with torch.no_grad():
            moved = self.moved(search, clean, x_bchw, y_b)
        return replace(clean, operations=moved)

    def moved(self, search: Search, clean: ArchWeights, x_bchw: Tensor, y_b: Tensor) -> Weights:
        """The perturbed operation weights."""
        return drawn_nearby(clean.operations, search.supernet.active, self.epsilon(search.progress))

    def epsilon(self, progress: Progress) -> float:
        """Largest change of an operation weight in this epoch."""
        return self.options.epsilon + (self.options.final_epsilon - self.options.epsilon) * progress.fraction


@register
class SdartsAdv(SdartsRs):
    """The weights learn with the worst operation weights nearby; the alphas learn with unperturbed ones.

    In the update of the weights, with the softmax p of the alphas and the training loss L of the current batch::

        q_0 = simplex(p + u),   u uniform in [-eps, eps]
        q_i = simplex(p + clip(q_(i-1) + 2 eps / steps * sign(grad_q L(q_(i-1))) - p, -eps, eps)),   i = 1 .. steps

    If L(q_steps) is not above L(p), p is used. ``simplex`` and eps are as in ``sdarts-rs``; there are 7 steps. During the attack,
    normalization uses running statistics without updating them. All passes of the attack use the channels that attention
    selects in the first one, because a change of channels would change the loss, too.
    """

    info = MethodInfo(
        name="sdarts-adv",
        title="SDARTS, adversarial",
        year=2020,
        paper=_PAPER,
        changes="the weights learn with the worst operation weights nearby",
        cost="about 4 times DARTS: nine more forward and seven more backward passes per step",
        defaults=Darts.info.defaults,
        spaces=_SPACES,
    )

    class Options(SdartsRs.Options):
        steps: PositiveInt = 7
        """Steps of the attack."""

    options: Options

    def moved(self, search: Search, clean: ArchWeights, x_bchw: Tensor, y_b: Tensor) -> Weights:
        """The operation weights found by the attack."""
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
    """Make valid operation weights: in [0, 1], with sum 1 on every edge, and 0 for inactive operations."""
    q_eo = q_eo.masked_fill(~active_eo, -torch.inf)
    clipped_eo = q_eo.clamp(0, 1)
    largest_eo = F.one_hot(q_eo.argmax(-1), q_eo.shape[-1]).to(q_eo) * active_eo
    clipped_eo = torch.where(clipped_eo.any(-1, keepdim=True), clipped_eo, largest_eo)
    # An edge without any active operation has the sum 0.
    return clipped_eo / clipped_eo.sum(-1, keepdim=True).clamp_min(torch.finfo(q_eo.dtype).tiny)


def drawn_nearby(clean: Weights, active: Weights, epsilon: float) -> dict[str, Tensor]:
    """Operation weights perturbed uniformly by up to epsilon."""
    return {
        kind: simplex(p_eo + epsilon * (2 * torch.rand_like(p_eo) - 1), active[kind]) for kind, p_eo in clean.items()
    }


def attack(
    loss_of: Callable[[Weights], Tensor], clean: Weights, active: Weights, epsilon: float, steps: int
) -> dict[str, Tensor]:
    """Operation weights near the clean ones with a higher loss; the clean ones if none were found."""
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
