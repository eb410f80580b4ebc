"""Samples of a categorical distribution with a gradient: the Gumbel-softmax, and its hard form.

Shape suffixes: e edges, o operations.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.supernet.plan import masked_softmax


def gumbel_softmax(alpha_eo: Tensor, active_eo: Tensor, temperature: float) -> Tensor:
    """softmax((alphas + G) / temperature) over the active operations, with G = -log(E), E exponential, anew in every call."""
    return masked_softmax((alpha_eo + _gumbel(alpha_eo)) / temperature, active_eo)


def straight_through(weights_eo: Tensor) -> tuple[Tensor, Tensor]:
    """The largest weight of every edge alone: exactly 1 forwards, with its own gradient backwards.

    Returns:
        h = onehot - stop(p) + p (edges, operations), and which are the largest, as bool.
    """
    chosen_eo = one_hot(weights_eo)
    return chosen_eo + (weights_eo - weights_eo.detach()), chosen_eo


def one_hot(weights_eo: Tensor) -> Tensor:
    """Whether an operation has the largest weight of its edge, as bool (edges, operations)."""
    return F.one_hot(weights_eo.argmax(-1), weights_eo.shape[-1]).bool()


def _gumbel(like: Tensor) -> Tensor:
    # An exponential variable may come out as 0 or infinite in finite precision. Only the noise is drawn again: alphas that
    # are not finite themselves must end the search, not keep it here.
    while True:
        noise = -torch.empty_like(like, requires_grad=False).exponential_().log()
        if noise.isfinite().all():
            return noise
