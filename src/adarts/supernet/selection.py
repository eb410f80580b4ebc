"""Select the channels that go through the operations of each mixed edge (section III-C, Algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from adarts import kernels


@dataclass
class Selection:
    """The selected channels of one forward pass: for every cell, indices in the order of the slots (1 or batch, edge, C/k).

    The supernet records it. Give it to other passes to use the same channels in several passes of a step.
    """

    cells: list[Tensor] = field(default_factory=list)


#: Source of the attention that selects channels: this batch, or the running average over batches.
AttentionSource = Literal["batch", "average"]


def first(num_edges: int, channels: int, k: int, device: torch.device) -> Tensor:
    """The first C/k channels on every edge: (1, E, C/k)."""
    return torch.arange(channels // k, device=device).expand(1, num_edges, -1)


def random(num_edges: int, channels: int, k: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """A new random choice for every edge: (1, E, C/k)."""
    return top(torch.rand(1, num_edges, channels, generator=generator).transpose(0, 1), k, True).to(device)


def top(score_ebc: Tensor, k: int, per_image: bool = False) -> Tensor:
    """The C/k channels with the highest score (E, B, C), as ascending indices (1 or B, E, C/k); the mean score, or per image.

    The order is ascending so that a channel keeps its position when only the ranking among the selected channels changes.
    """
    return kernels.strongest(score_ebc, score_ebc.shape[-1] // k, per_image)


def place(chosen_sek: Tensor, slots_ek: Tensor) -> Tensor:
    """Give every chosen channel a slot: a channel that is in a slot stays there, newcomers take the vacated slots in order.

    Args:
        chosen_sek: the chosen channels of every edge, ascending (1, E, C/k).
        slots_ek: the channel that was in every slot, no channel twice (E, C/k).

    Returns:
        The chosen channels in the order of their slots (1, E, C/k).
    """
    same_seij = slots_ek[..., :, None] == chosen_sek[..., None, :]
    stays, known = same_seij.any(-1), same_seij.any(-2)
    # Sorting compacts the newcomers without reading back how many there are.
    newcomers = chosen_sek.masked_fill(known, torch.iinfo(chosen_sek.dtype).max).sort(-1).values
    vacancy = (~stays).cumsum(-1) - 1
    return torch.where(stays, slots_ek, newcomers.gather(-1, vacancy.clamp(min=0)))
