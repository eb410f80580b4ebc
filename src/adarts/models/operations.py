"""The operations of a cell as modules of a fixed network.

Every operation keeps the number of channels. With stride 2, it turns a side of n pixels into ceil(n / 2), so that all of them
agree in shape at any image size. Convolutions have no bias. No ReLU works in place, because several operations read the same
feature map.

Shape suffixes: b batch, c channels, h height, w width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from adarts import kernels
from adarts.errors import ConfigError
from adarts.spaces.operation_names import OPERATION_NAMES, unknown_operation


class Strided(nn.Module):
    """A module that applies a function of a feature map and a stride."""

    def __init__(self, function: Callable[[Tensor, int], Tensor], stride: int) -> None:
        super().__init__()
        self.function, self.stride = function, stride

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(x_bchw, self.stride)


def _zero(x_bchw: Tensor, stride: int) -> Tensor:
    return torch.zeros_like(x_bchw[:, :, ::stride, ::stride])


def noise(x_bchw: Tensor, stride: int) -> Tensor:
    """Standard normal noise in the strided shape (S4), independent of the input; uses torch's own generator."""
    return torch.randn_like(x_bchw[:, :, ::stride, ::stride], requires_grad=False)


class BatchNorm2d(nn.BatchNorm2d):
    """torch's batch normalization, computed by the native kernel if available."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Normalize; in training with batch statistics, which also update the running ones."""
        self._check_input_dim(x_bchw)
        update = self.training and self.track_running_stats
        if update and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        running = update or not self.training
        assert self.momentum is not None
        norm = kernels.Normalization(
            self.running_mean if running else None,
            self.running_var if running else None,
            self.training,
            self.momentum,
            self.eps,
        )
        return kernels.normalized_sum([(x_bchw, self.weight, norm)], self.bias)


class FactorizedReduce(nn.Module):
    """Halves the image with two 1x1 convolutions of stride 2, on the pixels (0, 0) and (1, 1) of every 2x2 block.

    Args:
        in_channels: input channels.
        out_channels: output channels; even, because each convolution produces half of them.
        affine: whether the batch normalization has a weight and a bias.

    Raises:
        ConfigError: ``out_channels`` is odd.
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool = True) -> None:
        super().__init__()
        if out_channels % 2:
            raise ConfigError(f"a skip connection with stride 2 needs an even number of channels, not {out_channels}")
        self.conv1 = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.conv2 = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.norm = BatchNorm2d(out_channels, affine=affine)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """ReLU, both convolutions, normalization."""
        return self.norm(kernels.relu_halved(x_bchw, self.conv1.weight[None], self.conv2.weight[None]))  # type: ignore[no-any-return]


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution, batch normalization."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, affine: bool = True, stride: int = 1
    ) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = BatchNorm2d(out_channels, affine=affine)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Apply all three, the first two in one kernel if the convolution is pointwise and no graph is being exported."""
        weight = self.conv.weight
        pointwise = weight.shape[-1] == self.conv.stride[0] == 1 and not torch.compiler.is_exporting()
        y = kernels.relu_product(x_bchw, weight.flatten(1)) if pointwise else self.conv(self.relu(x_bchw))
        return self.norm(y)  # type: ignore[no-any-return]


class ResidualReduction(nn.Module):
    """Halves the image between two stages of NAS-Bench-201: two 3x3 convolutions, and a shortcut without normalization."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ReLUConvBN(in_channels, out_channels, 3, stride=2)
        self.conv2 = ReLUConvBN(out_channels, out_channels, 3)
        # Round odd sides up, as convolutions do.
        self.pool = nn.AvgPool2d(2, 2, ceil_mode=True)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """The sum of both branches."""
        y_bchw: Tensor = self.shortcut(self.pool(x_bchw)) + self.conv2(self.conv1(x_bchw))
        return y_bchw


class DepthwiseSeparable(nn.Sequential):
    """ReLU, depthwise convolution, 1x1 convolution, batch normalization."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> None:
        padding = dilation * (kernel - 1) // 2
        super().__init__()
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = BatchNorm2d(channels, affine=affine)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Apply all four, the first two in one kernel."""
        convolution = kernels.Separable(self.depthwise.weight, None, self.depthwise.dilation[0])
        (y_bchw,) = kernels.separable(x_bchw, [convolution], self.depthwise.stride[0])
        return self.norm(self.pointwise(y_bchw))  # type: ignore[no-any-return]


def _max_pool(kernel: int) -> Build:
    return lambda channels, stride, affine: nn.MaxPool2d(kernel, stride, padding=kernel // 2)


def _normalized_max_pool(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(nn.MaxPool2d(3, stride, padding=1), BatchNorm2d(channels, affine=affine))


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def _separable(kernel: int) -> Build:
    return lambda channels, stride, affine: nn.Sequential(
        DepthwiseSeparable(channels, kernel, stride, 1, affine), DepthwiseSeparable(channels, kernel, 1, 1, affine)
    )


def _dilated(kernel: int) -> Build:
    return lambda channels, stride, affine: DepthwiseSeparable(channels, kernel, stride, 2, affine)


def _convolution(kernel: int) -> Build:
    return lambda channels, stride, affine: ReLUConvBN(channels, channels, kernel, affine, stride)


def _crossed(kernel: int, groups: int = 1) -> Build:
    """ReLU, a convolution along the rows, one along the columns, normalization; each applies the stride along its axis."""
    side = kernel // 2

    def build(channels: int, stride: int, affine: bool) -> nn.Module:
        divided = math.gcd(groups, channels)  # fewer groups if they do not divide the channels
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, side), groups=divided, bias=False),
            nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (side, 0), groups=divided, bias=False),
            BatchNorm2d(channels, affine=affine),
        )

    return build


def _grouped_crossed(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(_crossed(3, groups=8)(channels, stride, affine), ReLUConvBN(channels, channels, 1, affine))


Build = Callable[[int, int, bool], nn.Module]
"""(channels, stride, affine) -> module; `affine`: normalizations have a weight and a bias."""

OPERATIONS: dict[str, Build] = {
    "none": lambda channels, stride, affine: Strided(_zero, stride),
    "noise": lambda channels, stride, affine: Strided(noise, stride),
    "max_pool_3x3": _max_pool(3),
    "avg_pool_3x3": lambda channels, stride, affine: Strided(kernels.average_pool, stride),
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "sep_conv_7x7": _separable(7),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "nor_conv_1x1": _convolution(1),
    "nor_conv_3x3": _convolution(3),
    "max_pool_5x5": _max_pool(5),  # α-ADARTS
    "conv_3x1_1x3": _crossed(3),  # SETN
    "conv_7x1_1x7": _crossed(7),  # AmoebaNet
    # The reduction cell that GDAS fixes by hand in its variant FRC consists of these two.
    "grouped_conv_3x1_1x3": _grouped_crossed,
    "norm_max_pool_3x3": _normalized_max_pool,
}
"""The operations of genotypes by name, including operations of published cells that no space searches."""


def register_operation(name: str, build: Build) -> None:
    """Register an operation for genotypes, spaces, networks and supernets.

    A supernet runs it edge by edge, without affine parameters, and adds its output without normalization. You can add a faster,
    batched form to :data:`adarts.supernet.operations.BATCHED`.

    Args:
        name: name in genotypes.
        build: (channels, stride, affine) -> module. The module keeps the channels, turns a side of n pixels into ceil(n / 2)
            with stride 2, and does not change its input in place. `affine`: normalizations have a weight and a bias.

    Raises:
        ValueError: the name is taken or invalid.
    """
    if not re.fullmatch(r"[A-Za-z_]\w{0,39}", name, re.ASCII) or hasattr(nn.ModuleDict(), name):
        raise ValueError(f"an operation needs a name such as 'sep_conv_3x3', not {name!r:.60}")
    if name in OPERATIONS:
        raise ValueError(f"an operation named '{name}' is registered already")
    OPERATIONS[name] = build
    OPERATION_NAMES.add(name)


def build_operation(name: str, channels: int, stride: int, affine: bool = True) -> nn.Module:
    """Build an operation of a fixed network (supernets also normalize their pools).

    Args:
        name: a key of :data:`OPERATIONS`.
        channels: input and output channels.
        stride: 1, or 2 to halve the image.
        affine: whether batch normalizations have a weight and a bias.

    Raises:
        ConfigError: the operation is unknown, or cannot have this number of channels.
    """
    if name not in OPERATIONS:
        raise ConfigError(unknown_operation(name))
    return OPERATIONS[name](channels, stride, affine)
