"""Building blocks that serve all mixed edges leaving one node at once.

Every parameter and buffer has the edge as its first axis: slice ``[e]`` is what the edge-by-edge textbook holds for edge e.
A feature map of E edges has E·c channels, edge by edge; since convolutions here are depthwise or block-diagonal and batch
normalisation is per channel, the edges never mix.

Shape suffixes in this room: b batch, c channels of one edge, C channels of the node, n = E·c, h w, e edges, o operations.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Depthwise(nn.Module):
    """Depthwise convolution of every edge; weight (E, c, 1, k, k)."""

    def __init__(self, num_edges: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_edges, channels, 1, kernel, kernel))
        self.stride, self.dilation, self.padding = stride, dilation, dilation * (kernel - 1) // 2
        bound = 1 / kernel  # torch's default for a convolution: uniform up to 1/sqrt(fan in)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x_bnhw: Tensor) -> Tensor:
        weight = self.weight.flatten(0, 1)
        return F.conv2d(x_bnhw, weight, None, self.stride, self.padding, self.dilation, groups=weight.shape[0])


class Pointwise(nn.Module):
    """1x1 convolution of every edge, ``channels_out`` by ``channels``; weight (E, c_out, c, 1, 1)."""

    def __init__(self, num_edges: int, channels: int, channels_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_edges, channels_out, channels, 1, 1))
        bound = 1 / math.sqrt(channels)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x_bnhw: Tensor) -> Tensor:
        return channel_product(x_bnhw, torch.block_diag(*self.weight[..., 0, 0].unbind()))


class BatchNorm(nn.Module):
    """Batch normalisation without affine parameters of its own, for every edge.

    The weight of the operation that it closes (alpha, times beta) is passed in as the affine weight: one pass over the
    feature map fewer than scaling the result, and autograd gives the gradient of alpha.
    """

    def __init__(self, num_edges: int, channels: int) -> None:
        super().__init__()
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        self.register_buffer("running_mean", torch.zeros(num_edges, channels))
        self.register_buffer("running_var", torch.ones(num_edges, channels))
        self.register_buffer("num_batches_tracked", torch.zeros(num_edges, dtype=torch.long))
        # Same meaning and name as in torch's own module, so that the supernet switches both kinds alike.
        self.track_running_stats = True

    def forward(self, x_bnhw: Tensor, weight_n: Tensor | None = None) -> Tensor:
        update = self.training and self.track_running_stats
        if update:
            self.num_batches_tracked += 1
        running = update or not self.training
        return F.batch_norm(
            x_bnhw,
            self.running_mean.view(-1) if running else None,
            self.running_var.view(-1) if running else None,
            # torch 2.14's CPU backward misreads a weight that is not contiguous when the input is channels last.
            None if weight_n is None else weight_n.contiguous(),
            training=self.training,
        )


def channel_product(x_bchw: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the channel vector of every pixel by ``matrix`` (out, in): a 1x1 convolution, free of copies in channels last."""
    return F.linear(x_bchw.permute(0, 2, 3, 1), matrix).permute(0, 3, 1, 2)


def per_channel(weight_e: Tensor, channels: int) -> Tensor:
    """Repeat the row of every edge for each of its channels: (E, ...) -> (E·c, ...)."""
    return weight_e.repeat_interleave(channels, dim=0)
