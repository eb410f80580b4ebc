"""Gradients on one batch, again and again with other weights or alphas, but always through the same channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from adarts.methods.base import Method, Purpose, Search
from adarts.supernet import AttentionSource, Selection, Supernet, is_alpha


def weights_of(supernet: Supernet) -> dict[str, Tensor]:
    """The weights by their names inside the supernet: the same memory, but nothing that is learned."""
    named = supernet.named_parameters()
    return {name: parameter.detach() for name, parameter in named if not is_alpha(name)}


class BatchGradient:
    """Gradients of the mean loss of one batch.

    The first pass chooses the channels, and all others get the same ones: near ties, another weight would choose others, and
    a difference of gradients would show that instead. Running statistics stay as they are, and so does everybody's ``grad``.

    Args:
        method: makes the weights, anew for every pass, and the penalty.
        search: the search.
        purpose: whose loss it is.
        batch: images and labels.
        accumulation: the gradients of so many smaller batches are added up.

    Attributes:
        loss, correct: sum of the losses and the right answers of the last pass.
    """

    def __init__(
        self, method: Method, search: Search, purpose: Purpose, batch: tuple[Tensor, Tensor], accumulation: int = 1
    ) -> None:
        self.method, self.search, self.purpose = method, search, purpose
        self.parts = list(zip(*(tensor.tensor_split(accumulation) for tensor in batch), strict=True))
        self.num_images = len(batch[1])
        self.selections: dict[int, AttentionSource | Selection] = {}
        self.loss = self.correct = torch.zeros(())

    def gradient(
        self, weights: Mapping[str, Tensor], of: Literal["weights", "alphas", "both"], *, precise: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One pass with these weights: their gradients and those of the alphas, as far as wanted; `precise` as in a loss."""
        alphas = self.search.supernet.alpha_parameters() if of != "weights" else []
        if of != "alphas":
            weights = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        wanted = [*(weights.values() if of != "alphas" else ()), *alphas]
        total = [torch.zeros_like(tensor) for tensor in wanted]
        self.loss = self.correct = torch.zeros((), device=wanted[0].device)
        for index, (x_bchw, y_b) in enumerate(self.parts):
            with torch.set_grad_enabled(of != "weights"):
                arch_weights = self.method.arch_weights(self.search, self.purpose, x_bchw, y_b)
                penalty = None if self.purpose == "weights" else self.method.penalty_of(self.search, arch_weights)
            known = self.selections.get(index, "batch")
            loss, logits = self.search.loss(
                x_bchw, y_b, arch_weights, parameters=weights, selection=known, precise=precise
            )
            self.selections.setdefault(index, self.search.supernet.selection)
            loss = loss if penalty is None else loss + penalty
            share = len(y_b) / self.num_images
            part = torch.autograd.grad(loss * share, wanted, allow_unused=True, materialize_grads=True)
            torch._foreach_add_(total, part)
            self.loss = self.loss + loss.detach() * len(y_b)
            self.correct = self.correct + (logits.argmax(1) == y_b).sum()
        split = len(wanted) - len(alphas)
        return total[:split], total[split:]
