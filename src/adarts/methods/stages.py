"""What methods share that search in stages: fewer and fewer operations on every edge, and a dropout on the skip connections."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adarts.methods.base import Progress
from adarts.supernet import Supernet


def strongest(scores_eo: Tensor, active_eo: Tensor, count: int) -> list[list[bool]]:
    """The active operations with the highest scores, so many on every edge; an edge that has no more keeps all."""
    scores_eo = scores_eo.detach().masked_fill(~active_eo, -torch.inf)
    ranked_eo = scores_eo.sort(dim=-1, descending=True, stable=True).indices
    kept_eo = torch.zeros_like(active_eo).scatter(-1, ranked_eo[:, :count], True)
    result: list[list[bool]] = (kept_eo & active_eo).tolist()
    return result


def leave_out_none(supernet: Supernet) -> None:
    """Let `none` take no part on any edge."""
    something = torch.tensor([name != "none" for name in supernet.space.operations])
    for kind, active_eo in supernet.active.items():
        supernet.set_active(kind, (active_eo.cpu() & something).tolist())


def skip_dropout(initial: float, progress: Progress, published: int) -> float:
    """The probability that an element of a skip connection is dropped, as the class of P-DARTS says; it begins at `initial`."""
    if not progress.past_warmup:
        return initial * (progress.epochs - 1 - progress.epoch) / progress.epochs
    return initial * math.exp(-0.2 * since_warmup(progress, published))


def since_warmup(progress: Progress, published: int) -> float:
    """Epochs since the warm-up, stretched so that all there are behind it count as the published number of them."""
    return progress.fraction * published
