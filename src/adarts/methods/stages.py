"""Helpers for methods that leave out or drop operations, and that drop out skip connections."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from adarts.config.settings import Settings
from adarts.methods.schedule import Progress
from adarts.supernet import Supernet


def strongest(scores_eo: Tensor, active_eo: Tensor, count: int) -> list[list[bool]]:
    """Mask of the `count` active operations with the highest scores on every edge; fewer if an edge has fewer."""
    scores_eo = scores_eo.detach().masked_fill(~active_eo, -torch.inf)
    ranked_eo = scores_eo.sort(dim=-1, descending=True, stable=True).indices
    kept_eo = torch.zeros_like(active_eo).scatter(-1, ranked_eo[:, :count], True)
    result: list[list[bool]] = (kept_eo & active_eo).tolist()
    return result


class WithNone(Settings):
    """The option of methods whose authors leave `none` out in some spaces."""

    with_none: bool = True
    """Search with the operation `none`, where the space has it."""


def leave_out_none(supernet: Supernet) -> None:
    """Deactivate `none` on every edge."""
    something = torch.tensor([name != "none" for name in supernet.space.operations])
    for kind, active_eo in supernet.active.items():
        supernet.set_active(kind, (active_eo.cpu() & something).tolist())


def skip_dropout(initial: float, progress: Progress, published: int) -> float:
    """Dropout rate of skip connections, starting at `initial`; the formula is in the docstring of `PDarts`."""
    if not progress.past_warmup:
        return initial * (progress.epochs - 1 - progress.epoch) / progress.epochs
    return initial * math.exp(-0.2 * since_warmup(progress, published))


def since_warmup(progress: Progress, published: int) -> float:
    """Epochs since the warm-up, rescaled so that the epochs after it equal the published number."""
    return progress.fraction * published
