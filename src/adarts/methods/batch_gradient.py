"""Repeated gradients on one batch with other weights or alphas, but always with the same channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from adarts.engine import parallel
from adarts.methods.base import Method, Purpose, Search
from adarts.supernet import AttentionSource, Selection, Supernet, is_alpha


def weights_of(supernet: Supernet) -> dict[str, Tensor]:
    """The supernet's weights by name, detached from the graph; they share memory with the parameters."""
    named = supernet.named_parameters()
    return {name: parameter.detach() for name, parameter in named if not is_alpha(name)}


class BatchGradient:
    """Gradients of the mean loss of one batch.

    The first pass selects the channels, and all later passes use the same ones. Otherwise a small change of the weights could
    select other channels, and a difference of gradients would measure that. Running statistics and ``grad`` are not modified.

    Args:
        method: computes the weights for every pass, and the penalty.
        search: the search.
        purpose: update whose loss is used.
        batch: images and labels.
        accumulation: number of micro-batches whose gradients are added.

    Attributes:
        loss, correct: sum of the losses and number of correct predictions in the last pass.
    """

    def __init__(
        self, method: Method, search: Search, purpose: Purpose, batch: tuple[Tensor, Tensor], accumulation: int = 1
    ) -> None:
        self.method, self.search, self.purpose = method, search, purpose
        parts = zip(*(tensor.tensor_split(accumulation * parallel.count()) for tensor in batch), strict=True)
        self.parts = parallel.share(parts)
        self.num_images = len(batch[1])
        self.selections: dict[int, AttentionSource | Selection] = {}
        self.loss = self.correct = torch.zeros(())

    def gradient(
        self, weights: Mapping[str, Tensor], of: Literal["weights", "alphas", "both"], *, precise: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Gradients of the given weights and of the alphas in one pass.

        Args:
            weights: weights of the supernet by name.
            of: compute both gradients, or only one; the other list is empty.
            precise: as in :meth:`Search.loss`.
        """
        alphas = self.search.supernet.alpha_parameters() if of != "weights" else []
        if of != "alphas":
            weights = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
        wanted = [*(weights.values() if of != "alphas" else ()), *alphas]
        total = [torch.zeros_like(tensor) for tensor in wanted]
        self.loss = self.correct = torch.zeros((), device=wanted[0].device)
        for index, (x_bchw, y_b) in enumerate(self.parts):
            with torch.set_grad_enabled(of != "weights"):
                arch_weights = self.method.arch_weights(self.search, self.purpose, x_bchw, y_b)
                penalty = None if self.purpose == "weights" else self.search.penalty(arch_weights)
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
        parallel.add([*total, self.loss, self.correct])
        split = len(wanted) - len(alphas)
        return total[:split], total[split:]
