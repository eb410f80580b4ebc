"""Samples of a categorical distribution with a gradient: the Gumbel-softmax, and its hard form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.supernet.plan import masked_softmax


def gumbel_softmax(alpha_eo: Tensor, active_eo: Tensor, temperature: float) -> Tensor:
    """softmax((alphas + G) / temperature) over the active operations, with G = -log(E), E exponential, anew in every call."""
    while True:
        noise = -torch.empty_like(alpha_eo, requires_grad=False).exponential_().log()
        # Finite precision may give an infinite one. Alphas that are not finite must end the search, not keep it here.
        if noise.isfinite().all():
            return masked_softmax((alpha_eo + noise) / temperature, active_eo)


def straight_through(weights_eo: Tensor) -> tuple[Tensor, Tensor]:
    """The hard form: h = onehot - stop(p) + p (edges, operations), exactly 1 or 0 forwards, and which are 1, as bool."""
    chosen_eo = one_hot(weights_eo)
    return chosen_eo + (weights_eo - weights_eo.detach()), chosen_eo


def one_hot(weights_eo: Tensor) -> Tensor:
    """Whether an operation has the largest weight of its edge, as bool (edges, operations)."""
    return F.one_hot(weights_eo.argmax(-1), weights_eo.shape[-1]).bool()
