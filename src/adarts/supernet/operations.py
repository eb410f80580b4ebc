"""The candidate operations in their batched form: each runs once for all edges that leave a node.

Every operation ends in its own batch normalisation (without affine parameters), except the identity and `none`; the
operation's weight is folded into it. `none` has no form here: it contributes nothing and only takes its share in the softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.supernet.batched import BatchNorm, Depthwise, Pointwise


class Features:
    """The selected channels of all edges, and their ReLU, computed once and shared by the operations."""

    def __init__(self, x_bnhw: Tensor) -> None:
        self.x = x_bnhw

    @cached_property
    def relu(self) -> Tensor:
        return F.relu(self.x)


class SeparableConv(nn.Module):
    """Twice (ReLU, depthwise, pointwise, BN); the first depthwise carries the stride."""

    def __init__(self, num_edges: int, channels: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.depthwise1 = Depthwise(num_edges, channels, kernel, stride)
        self.pointwise1 = Pointwise(num_edges, channels, channels)
        self.norm1 = BatchNorm(num_edges, channels)
        self.depthwise2 = Depthwise(num_edges, channels, kernel)
        self.pointwise2 = Pointwise(num_edges, channels, channels)
        self.norm2 = BatchNorm(num_edges, channels)

    def forward(self, features: Features, weight_n: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.pointwise1(self.depthwise1(features.relu))))
        return self.norm2(self.pointwise2(self.depthwise2(x)), weight_n)  # type: ignore[no-any-return]


class DilatedConv(nn.Module):
    """ReLU, depthwise with dilation 2, pointwise, BN."""

    def __init__(self, num_edges: int, channels: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(num_edges, channels, kernel, stride, dilation=2)
        self.pointwise = Pointwise(num_edges, channels, channels)
        self.norm = BatchNorm(num_edges, channels)

    def forward(self, features: Features, weight_n: Tensor) -> Tensor:
        return self.norm(self.pointwise(self.depthwise(features.relu)), weight_n)  # type: ignore[no-any-return]


class MaxPool(nn.Module):
    """3x3 max pooling, then the BN that the search network has behind its pools."""

    def __init__(self, num_edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm = BatchNorm(num_edges, channels)

    def forward(self, features: Features, weight_n: Tensor) -> Tensor:
        return self.norm(F.max_pool2d(features.x, 3, self.stride, 1), weight_n)  # type: ignore[no-any-return]


class AvgPool(nn.Module):
    """3x3 average pooling that does not count the padding, then BN."""

    def __init__(self, num_edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm = BatchNorm(num_edges, channels)

    def forward(self, features: Features, weight_n: Tensor) -> Tensor:
        pooled = F.avg_pool2d(features.x, 3, self.stride, 1, count_include_pad=False)
        return self.norm(pooled, weight_n)  # type: ignore[no-any-return]


class Identity(nn.Module):
    """`skip_connect` on an edge of stride 1."""

    def forward(self, features: Features, weight_n: Tensor) -> Tensor:
        return features.x * weight_n[:, None, None]


class FactorizedReduce(nn.Module):
    """`skip_connect` on an edge of stride 2: two 1x1 convolutions, on the even and on the odd pixels, side by side, then BN."""

    def __init__(self, num_edges: int, channels: int) -> None:
        super().__init__()
        self.conv1 = Pointwise(num_edges, channels, channels // 2)
        self.conv2 = Pointwise(num_edges, channels, channels - channels // 2)
        self.norm = BatchNorm(num_edges, channels)

    def forward(self, features: Features, weight_n: Tensor) -> Tensor:
        x = features.relu
        height, width = x.shape[2:]
        num_edges = self.conv1.weight.shape[0]
        even = self.conv1(x[:, :, ::2, ::2])
        odd = self.conv2(F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1::2, 1::2])
        # Each edge's channels are its two halves one after the other.
        parts = [t.unflatten(1, (num_edges, -1)) for t in (even, odd)]
        return self.norm(torch.cat(parts, 2).flatten(1, 2), weight_n)  # type: ignore[no-any-return]


def _skip(num_edges: int, channels: int, stride: int) -> nn.Module:
    return Identity() if stride == 1 else FactorizedReduce(num_edges, channels)


#: name -> (edges, channels, stride) -> batched module
BATCHED: dict[str, Callable[[int, int, int], nn.Module]] = {
    "max_pool_3x3": MaxPool,
    "avg_pool_3x3": AvgPool,
    "skip_connect": _skip,
    "sep_conv_3x3": lambda e, c, s: SeparableConv(e, c, s, 3),
    "sep_conv_5x5": lambda e, c, s: SeparableConv(e, c, s, 5),
    "dil_conv_3x3": lambda e, c, s: DilatedConv(e, c, s, 3),
    "dil_conv_5x5": lambda e, c, s: DilatedConv(e, c, s, 5),
}
