"""Building blocks that serve all mixed edges leaving one node at once.

Every parameter and buffer has the edge as its first axis: slice ``[e]`` is what the edge-by-edge textbook holds for edge e.
A feature map of E edges has E·c channels, edge by edge; since convolutions here are depthwise or block-diagonal and batch
normalization is per channel, the edges never mix.

Shape suffixes in this room: b batch, c channels of one edge, C channels of the node, n = E·c, h w, e edges, o operations.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts import kernels

Rows = slice | None
"""Which edges of a module take part; None stands for all, and spares the slicing."""


def some(tensor_e: Tensor, rows: Rows) -> Tensor:
    """The part of a batched tensor that belongs to these edges; a view."""
    return tensor_e if rows is None else tensor_e[rows]


class Weight(nn.Module):
    """A weight of every edge, (E, ...), as torch begins a convolution: uniform up to 1/sqrt(fan in)."""

    def __init__(self, root_of_fan_in: float, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.uniform_(self.weight, -1 / root_of_fan_in, 1 / root_of_fan_in)


class Depthwise(Weight):
    """Depthwise convolution of every edge; weight (E, c, 1, k, k)."""

    def __init__(self, num_edges: int, channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(kernel, num_edges, channels, 1, kernel, kernel)
        self.dilation = dilation


class Pointwise(Weight):
    """1x1 convolution of every edge, ``channels_out`` by ``channels``; weight (E, c_out, c, 1, 1)."""

    def __init__(self, num_edges: int, channels: int, channels_out: int) -> None:
        super().__init__(math.sqrt(channels), num_edges, channels_out, channels, 1, 1)

    def forward(self, x_bnhw: Tensor, rows: Rows) -> Tensor:
        return kernels.grouped_product(x_bnhw, some(self.weight, rows).flatten(2))


class Dense(Weight):
    """Convolution over all channels of every edge; weight (E, c, c, k, k)."""

    def __init__(self, num_edges: int, channels: int, kernel: int) -> None:
        super().__init__(kernel * math.sqrt(channels), num_edges, channels, channels, kernel, kernel)

    def forward(self, x_bnhw: Tensor, rows: Rows) -> Tensor:
        weight = some(self.weight, rows)
        return F.conv2d(x_bnhw, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=len(weight))


def separable_weights(depthwise: Depthwise, pointwise: Pointwise, rows: Rows) -> kernels.Separable:
    """A depthwise convolution and the pointwise one behind it, as the kernels take them."""
    return kernels.Separable(
        some(depthwise.weight, rows).flatten(0, 1), some(pointwise.weight, rows).flatten(2), depthwise.dilation
    )


class BatchNorm(nn.Module):
    """Statistics of a batch normalization without affine parameters of its own, for every edge.

    It is not applied here: the normalization that closes an operation is folded into the weighted sum over the operations
    (the weight of the operation, alpha times beta, is its affine weight), one within an operation into the next convolution.
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

    def normalization(self, rows: Rows) -> kernels.Normalization:
        """What the next feature map is to be normalized with; counts a batch if the statistics are to follow it."""
        update = self.training and self.track_running_stats
        if update:
            some(self.num_batches_tracked, rows).add_(1)
        running = update or not self.training
        return kernels.Normalization(
            some(self.running_mean, rows).view(-1) if running else None,
            some(self.running_var, rows).view(-1) if running else None,
            self.training,
        )
