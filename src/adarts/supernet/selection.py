"""Select the channels that go through the operations of each mixed edge (section III-C, Algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor


@dataclass
class Selection:
    """The selected channels of one forward pass: for every cell, ascending indices (1 or batch, edge, C/k).

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
    return top(torch.rand(1, num_edges, channels, generator=generator), k).to(device)


def top(score_sec: Tensor, k: int) -> Tensor:
    """The C/k channels with the highest score (S, E, C), as ascending indices (S, E, C/k).

    The order is ascending so that a channel keeps its position when only the ranking among the selected channels changes.
    """
    return score_sec.topk(score_sec.shape[-1] // k, dim=-1).indices.sort(-1).values
