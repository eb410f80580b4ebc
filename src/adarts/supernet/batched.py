"""Building blocks that run all mixed edges leaving one node at once.

Every parameter and buffer has the edge as its first axis: slice ``[e]`` is the parameter of edge e. A feature map of E edges
has E·c channels, edge by edge. The edges never mix, because convolutions are depthwise or block-diagonal and batch
normalization acts per channel.

Shape suffixes in this package: b batch, c channels of one edge, C channels of the node, n = E·c, h w, e edges, o operations.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts import kernels

Rows = slice | None
"""The edges of a module that take part; None means all, without slicing."""


def some(tensor_e: Tensor, rows: Rows) -> Tensor:
    """The slice of a batched tensor for these edges; a view."""
    return tensor_e if rows is None else tensor_e[rows]


class Weight(nn.Module):
    """A weight of every edge, (E, ...), initialized like torch's convolutions: uniform up to 1/sqrt(fan in)."""

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
    """The weights of a depthwise and the following pointwise convolution, as an argument of the kernels."""
    return kernels.Separable(some(depthwise.weight, rows), some(pointwise.weight, rows), depthwise.dilation)


class BatchNorm(nn.Module):
    """Statistics of a batch normalization without affine parameters, for every edge.

    This module does not apply the normalization. At the end of an operation, it is merged into the weighted sum over the
    operations, with the operation weight times beta as its scale. Within an operation, it is merged into the next convolution.
    """

    def __init__(self, num_edges: int, channels: int) -> None:
        super().__init__()
        self.running_mean: Tensor
        self.running_var: Tensor
        self.num_batches_tracked: Tensor
        self.register_buffer("running_mean", torch.zeros(num_edges, channels))
        self.register_buffer("running_var", torch.ones(num_edges, channels))
        self.register_buffer("num_batches_tracked", torch.zeros(num_edges, dtype=torch.long))
        # Same name and meaning as in torch's module, so that the supernet treats both alike.
        self.track_running_stats = True

    @property
    def updates(self) -> bool:
        """Whether a pass updates the running statistics."""
        return self.training and self.track_running_stats

    def normalization(self, rows: Rows) -> kernels.Normalization:
        """The normalization for the next feature map."""
        running = self.updates or not self.training
        return kernels.Normalization(
            some(self.running_mean, rows) if running else None,
            some(self.running_var, rows) if running else None,
            self.training,
        )

    def statistics(self) -> kernels.Statistics:
        """The statistics of all edges."""
        return kernels.Statistics(self.running_mean, self.running_var, self.num_batches_tracked)
