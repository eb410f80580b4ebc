"""Differentiable samples of a categorical distribution: the Gumbel-softmax and its hard form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.supernet.plan import masked_softmax


def gumbel_softmax(alpha_eo: Tensor, active_eo: Tensor, temperature: float) -> Tensor:
    """softmax((alphas + G) / temperature) over the active operations, with new noise G = -log(E), E exponential."""
    while True:
        noise = -torch.empty_like(alpha_eo, requires_grad=False).exponential_().log()
        # Rounding may give infinite noise, which is drawn again. Check only the noise: infinite alphas must end the search.
        if noise.isfinite().all():
            return masked_softmax((alpha_eo + noise) / temperature, active_eo)


def straight_through(weights_eo: Tensor) -> tuple[Tensor, Tensor]:
    """Hard weights h = onehot - stop(p) + p (edges, operations), 1 or 0 in the forward pass, and the mask of the 1s."""
    chosen_eo = one_hot(weights_eo)
    return chosen_eo + (weights_eo - weights_eo.detach()), chosen_eo


def one_hot(weights_eo: Tensor) -> Tensor:
    """Mask of the operation with the largest weight on each edge, bool (edges, operations)."""
    return F.one_hot(weights_eo.argmax(-1), weights_eo.shape[-1]).bool()
