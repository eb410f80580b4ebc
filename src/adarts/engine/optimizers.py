"""The optimizers of search and training, and the learning rate as a pure function of the epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from adarts.config.settings import AlphaOptimizer, WeightOptimizer


def runs_ahead(device: torch.device) -> bool:
    """Whether the device works asynchronously, so that reading a value from it would make the program wait."""
    return device.type == "cuda"


def sgd(parameters: Sequence[nn.Parameter], settings: WeightOptimizer) -> torch.optim.SGD:
    """SGD with these settings, efficient for many small tensors; on a GPU, the learning rate is a tensor there."""
    ahead = runs_ahead(parameters[0].device)
    return torch.optim.SGD(
        parameters,
        torch.tensor(settings.learning_rate, device=parameters[0].device) if ahead else settings.learning_rate,
        settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        foreach=not ahead,
        fused=ahead,
    )


def adamw(parameters: Sequence[nn.Parameter], settings: WeightOptimizer) -> torch.optim.AdamW:
    """AdamW with these settings, whose momentum is beta1; beta2 is 0.999. The learning rate is as for :func:`sgd`."""
    ahead = runs_ahead(parameters[0].device)
    return torch.optim.AdamW(
        parameters,
        torch.tensor(settings.learning_rate, device=parameters[0].device) if ahead else settings.learning_rate,
        (settings.momentum, 0.999),
        weight_decay=settings.weight_decay,
        capturable=parameters[0].is_cuda,
        foreach=not ahead,
        fused=ahead,
    )


def adam(parameters: Sequence[nn.Parameter], settings: AlphaOptimizer) -> torch.optim.Adam:
    """Adam with these settings."""
    ahead = runs_ahead(parameters[0].device)
    return torch.optim.Adam(
        parameters,
        settings.learning_rate,
        (settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        capturable=parameters[0].is_cuda,
        fused=ahead or None,
    )


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load the state tensors of an optimizer, but keep the current parameter groups, which depend on the device."""
    rates = [group["lr"] for group in optimizer.param_groups]
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # keeps the same tensor, if it is one


def learning_rate(settings: WeightOptimizer, epoch: float, epochs: int, warmup: float = 0.0) -> float:
    """The learning rate at `epoch`, which may be fractional: linear from 0 in the warm-up, then a cosine, or steps."""
    if epoch < warmup:
        return settings.learning_rate * epoch / warmup
    if settings.milestones:
        # Rounded, because 0.55 * 100 is slightly more than 55, and the step would come an epoch late.
        passed = sum(epoch >= round(share * epochs, 6) for share in settings.milestones)
        return settings.learning_rate * 0.1**passed
    progress = (epoch - warmup) / (epochs - warmup)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2
