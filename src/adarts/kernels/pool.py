"""Pooling: 3x3 maximum and average of a feature map in one pass, and mean and maximum over the whole image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import channels_last, define, empty, fused


def pools(x_bnhw: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """3x3 maximum and average with a padding of 1, which the average ignores; (B, n, ceil(H / stride), ...)."""
    if fused(x_bnhw) and stride in (1, 2):
        largest, average, _ = torch.ops.adarts.pools(channels_last(x_bnhw), stride)
        return largest, average
    return F.max_pool2d(x_bnhw, 3, stride, 1), average_pool(x_bnhw, stride)


def average_pool(x_bnhw: Tensor, stride: int) -> Tensor:
    """3x3 average with a padding of 1, which it ignores, in torch's operators."""
    # CUDA's backward pass of a padded average in channels last ignores the padding, which shifts all gradients by one pixel
    # (seen with torch 2.11 on an H200, where gradients were up to 60 % wrong).
    x_bnhw = x_bnhw.contiguous() if x_bnhw.is_cuda else x_bnhw
    return F.avg_pool2d(x_bnhw, 3, stride, 1, count_include_pad=False)


def global_pools(x_bchw: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum over all pixels, (B, C) each.

    If several pixels are the largest, the native kernel gives the gradient to the first one, torch divides it among them.
    """
    if fused(x_bchw):
        mean, largest, _ = torch.ops.adarts.global_pools(channels_last(x_bchw))
        return mean, largest
    # `amax` instead of an adaptive pool, because its CUDA backward pass is deterministic.
    return x_bchw.mean((2, 3)), x_bchw.amax((2, 3))


def _pools(x: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    batch, n, height, width = x.shape
    shape = (batch, n, -(-height // stride), -(-width // stride))
    tap = torch.empty(shape, dtype=torch.uint8, device=x.device, memory_format=torch.channels_last)
    return empty(x, *shape), empty(x, *shape), tap


def _pools_backward(
    g_largest: Tensor, g_average: Tensor, _: None, tap: Tensor, shape: list[int], stride: int
) -> tuple[Tensor, None]:
    gradients = channels_last(g_largest), channels_last(g_average)
    return torch.ops.adarts.pools_backward(*gradients, tap, shape, stride), None


def _global_pools(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    shape = x.shape[:2]
    return x.new_empty(shape), x.new_empty(shape), x.new_empty(shape, dtype=torch.int32)


def _global_pools_backward(
    g_mean: Tensor, g_largest: Tensor, _: None, pixel: Tensor, shape: list[int]
) -> tuple[Tensor]:
    return (torch.ops.adarts.global_pools_backward(g_mean.contiguous(), g_largest.contiguous(), pixel, shape),)


define(
    "pools(Tensor x, int stride) -> (Tensor, Tensor, Tensor)",
    _pools,
    lambda x, stride: [list(x.shape)],
    lambda out, x, stride: (out[2], list(x.shape), stride),
    _pools_backward,
)
define(
    "pools_backward(Tensor g_largest, Tensor g_average, Tensor tap, int[] shape, int stride) -> Tensor",
    lambda g_largest, g_average, tap, shape, stride: empty(g_largest, *shape),
    lambda *_: [],
)
define(
    "global_pools(Tensor x) -> (Tensor, Tensor, Tensor)",
    _global_pools,
    lambda x: [len(x), x.shape[2] * x.shape[3], x.shape[1]],
    lambda out, x: (out[2], list(x.shape)),
    _global_pools_backward,
)
define(
    "global_pools_backward(Tensor g_mean, Tensor g_largest, Tensor pixel, int[] shape) -> Tensor",
    lambda g_mean, g_largest, pixel, shape: empty(g_mean, *shape),
    lambda *_: [],
)
