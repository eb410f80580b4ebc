"""Which channels pass through the operations of each mixed edge (section III-C, Algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Selection:
    """The selected channels of one forward pass: for every cell indices (1 or batch, edge, C/k), ascending.

    It is recorded by the supernet and can be given to another pass, so that several passes of one step see the same channels.
    """

    cells: list[Tensor] = field(default_factory=list)


#: Where attention's choice comes from: this batch, or the running average over batches.
AttentionSource = Literal["batch", "average"]


def first(num_edges: int, channels: int, k: int, device: torch.device) -> Tensor:
    """The first C/k channels on every edge: (1, E, C/k)."""
    return torch.arange(channels // k, device=device).expand(1, num_edges, -1)


def random(num_edges: int, channels: int, k: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """A fresh random choice for every edge: (1, E, C/k)."""
    return top(torch.rand(1, num_edges, channels, generator=generator), k).to(device)


def top(score_sec: Tensor, k: int) -> Tensor:
    """The C/k channels with the highest score (S, E, C), as ascending indices (S, E, C/k).

    Ascending, so that a channel keeps its slot in the operations while the ranking among the selected changes.
    """
    return score_sec.topk(score_sec.shape[-1] // k, dim=-1).indices.sort(-1).values


def one_hot(indices_sek: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Indices (S, E, c) -> selection matrices (S, E, c, C)."""
    return F.one_hot(indices_sek, channels).to(dtype)


def gather(x_bchw: Tensor, matrix_sekc: Tensor) -> Tensor:
    """The selected channels of all edges side by side: (B, C, H, W) -> (B, E·c, H, W).

    A small matrix product instead of indexing: no index leaves the device, shapes are static, and the backward pass is
    deterministic.
    """
    x_bhwc = x_bchw.permute(0, 2, 3, 1)
    if len(matrix_sekc) == 1:
        return F.linear(x_bhwc, matrix_sekc[0].flatten(0, 1)).permute(0, 3, 1, 2)
    height, width = x_bchw.shape[2:]
    picked = torch.bmm(x_bhwc.flatten(1, 2), matrix_sekc.flatten(1, 2).mT)
    selected: Tensor = picked.unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return selected


def scatter(y_bnhw: Tensor, matrix_sekc: Tensor) -> Tensor:
    """The operations' results at their channels' original places, zero elsewhere: (B, E·c, H, W) -> (B, E·C, H, W)."""
    num_edges = matrix_sekc.shape[1]
    y_bhwn = y_bnhw.permute(0, 2, 3, 1)
    if len(matrix_sekc) == 1:
        return F.linear(y_bhwn, torch.block_diag(*matrix_sekc[0].mT.unbind())).permute(0, 3, 1, 2)
    height, width = y_bnhw.shape[2:]
    y_bepk = y_bhwn.flatten(1, 2).unflatten(2, (num_edges, -1)).transpose(1, 2)
    placed_bpec = torch.matmul(y_bepk, matrix_sekc).transpose(1, 2)
    placed: Tensor = placed_bpec.flatten(2).unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return placed
