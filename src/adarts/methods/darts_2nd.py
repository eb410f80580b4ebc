"""Second-order DARTS: the gradient of the alphas includes one step of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from adarts.engine.update import Gradient
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.batch_gradient import BatchGradient, weights_of
from adarts.methods.darts import Darts
from adarts.methods.registry import register

RADIUS = 0.01
"""Distance between the weights and each point of the central difference."""


@register
class Darts2nd(Method):
    """The alphas follow the gradient of the validation loss after one more step of the weights, which depends on the alphas.

    With the weights w, their momentum v (0 before the first step) and learning rate xi, m = weights.momentum and
    wd = weights.weight_decay::

        w'    = w - xi (m v + grad_w L_train(w, alpha) + wd w)
        g     = grad_alpha L_val(w', alpha) - xi h
        h     = (grad_alpha L_train(w+, alpha) - grad_alpha L_train(w-, alpha)) / (2 eps)
        w+, - = w +- eps u,   u = grad_w' L_val(w', alpha),   eps = 0.01 / |u|

    h approximates the product of the mixed second derivative of L_train with u. The step to w' is not clipped, and respects
    weights.nesterov. Edge weights (beta) are treated like alpha. Weights, statistics and averages are not modified. All passes
    over the training batch use the same channels, so that h measures a derivative and not a change of channels. The two passes
    of the difference are computed in float32, because the weights differ by less than bfloat16 can resolve.
    """

    info = MethodInfo(
        name="darts-2nd",
        title="DARTS, second order",
        year=2018,
        paper=Darts.info.paper,
        changes="the alphas look one step of the weights ahead",
        cost="about 2.7 times DARTS: five passes per step instead of two",
        defaults=Darts.info.defaults,
        spaces=Darts.info.spaces,
        replay="epoch",  # the learning rate is part of the formula
    )

    alpha_batches: tuple[Purpose, ...] = ("alphas", "weights")

    def alpha_gradient(self, search: Search) -> Gradient | None:
        return partial(self._unrolled, search)

    def _unrolled(self, search: Search, accumulation: int, *batches: Tensor) -> tuple[Tensor, Tensor]:
        net, rate = search.supernet, search.rate
        x_bchw, y_b, training_x_bchw, training_y_b = batches
        validation = BatchGradient(self, search, "alphas", (x_bchw, y_b), accumulation)
        training = BatchGradient(self, search, "weights", (training_x_bchw, training_y_b), accumulation)

        weights = weights_of(net)
        tensors = list(weights.values())
        step = _sgd_step(search, weights, training.gradient(weights, "weights")[0])
        ahead = dict(zip(weights, torch._foreach_sub(tensors, torch._foreach_mul(step, rate)), strict=True))
        direction, gradient = validation.gradient(ahead, "both")

        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(direction)))
        eps = RADIUS / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        torch._foreach_mul_(direction, eps)
        sides = []
        for move in (torch._foreach_add, torch._foreach_sub):
            beside = dict(zip(weights, move(tensors, direction), strict=True))
            sides.append(training.gradient(beside, "alphas", precise=True)[1])
        for alphas, own, plus, minus in zip(net.alpha_parameters(), gradient, *sides, strict=True):
            alphas.grad = own - rate * (plus - minus) / (2 * eps)
        return validation.loss, validation.correct


def _sgd_step(search: Search, weights: Mapping[str, Tensor], gradient: list[Tensor]) -> list[Tensor]:
    """The step of SGD, without the factor of the learning rate."""
    settings, momentum = search.config.weights, search.momentum()
    decayed = torch._foreach_add(gradient, list(weights.values()), alpha=settings.weight_decay)
    before = [momentum[name] if name in momentum else torch.zeros_like(w) for name, w in weights.items()]
    rolling = torch._foreach_add(decayed, before, alpha=settings.momentum)
    if settings.nesterov:
        return list(torch._foreach_add(decayed, rolling, alpha=settings.momentum))
    return list(rolling)
