"""Pooling: 3x3 maximum and average of the same feature map in one pass, and mean and maximum over the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import call, channels_last, define, empty, native


def pools(x_bnhw: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """3x3 maximum and average with a padding of 1, which the average does not count; (B, n, ceil(H / stride), ...)."""
    if native(x_bnhw) and stride in (1, 2):
        largest, average, _ = torch.ops.adarts.pools(channels_last(x_bnhw), stride)
        return largest, average
    return F.max_pool2d(x_bnhw, 3, stride, 1), average_pool(x_bnhw, stride)


def average_pool(x_bnhw: Tensor, stride: int) -> Tensor:
    """3x3 average with a padding of 1 that it does not count, in torch's operators."""
    # CUDA's backward of a padded average in channels last forgets the padding (seen with torch 2.11 on an H200, where
    # gradients came out up to 60 % wrong): every gradient goes one pixel astray.
    x_bnhw = x_bnhw.contiguous() if x_bnhw.is_cuda else x_bnhw
    return F.avg_pool2d(x_bnhw, 3, stride, 1, count_include_pad=False)


def global_pools(x_bchw: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and maximum over all pixels, (B, C) each.

    Where several pixels are the largest, the native kernel's gradient goes to the first, torch's is shared.
    """
    if native(x_bchw):
        mean, largest, _ = torch.ops.adarts.global_pools(channels_last(x_bchw))
        return mean, largest
    # `amax` instead of an adaptive pool: its CUDA backward is deterministic.
    return x_bchw.mean((2, 3)), x_bchw.amax((2, 3))


def _pools(x: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    largest, average, tap = _fake_pools(x, stride)
    call("pools", x.dtype, _sizes(x, stride), x, largest, average, tap)
    return largest, average, tap


def _sizes(x: Tensor, stride: int) -> list[int]:
    batch, n, height, width = x.shape
    return [batch, height, width, n, stride]


def _fake_pools(x: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    batch, n, height, width = x.shape
    shape = (batch, n, -(-height // stride), -(-width // stride))
    tap = torch.empty(shape, dtype=torch.uint8, device=x.device, memory_format=torch.channels_last)
    return empty(x, *shape), empty(x, *shape), tap


def _remember_pools(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, ctx.stride = inputs
    ctx.shape = list(x.shape)
    ctx.save_for_backward(output[2])


def _backward_pools(
    ctx: Any, saved: Sequence[Tensor], g_largest: Tensor, g_average: Tensor, _: None
) -> tuple[Any, ...]:
    (tap,) = saved
    gx = torch.ops.adarts.pools_backward(channels_last(g_largest), channels_last(g_average), tap, ctx.shape, ctx.stride)
    return gx, None


def _pools_backward(g_largest: Tensor, g_average: Tensor, tap: Tensor, shape: list[int], stride: int) -> Tensor:
    gx = empty(g_largest, *shape)
    call("pools_backward", gx.dtype, _sizes(gx, stride), g_largest, g_average, tap, gx)
    return gx


def _global_pools(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    batch, channels, height, width = x.shape
    mean, largest, pixel = _fake_global_pools(x)
    call("global_pools", x.dtype, batch, height * width, channels, x, mean, largest, pixel)
    return mean, largest, pixel


def _fake_global_pools(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    shape = x.shape[:2]
    return x.new_empty(shape), x.new_empty(shape), x.new_empty(shape, dtype=torch.int32)


def _remember_global_pools(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.shape = list(inputs[0].shape)
    ctx.save_for_backward(output[2])


def _backward_global_pools(
    ctx: Any, saved: Sequence[Tensor], g_mean: Tensor, g_largest: Tensor, _: None
) -> tuple[Tensor]:
    (pixel,) = saved
    return (torch.ops.adarts.global_pools_backward(g_mean, g_largest, pixel, ctx.shape),)


def _global_pools_backward(g_mean: Tensor, g_largest: Tensor, pixel: Tensor, shape: list[int]) -> Tensor:
    gx = empty(g_mean, *shape)
    batch, channels, height, width = shape
    gradients = g_mean.contiguous(), g_largest.contiguous()
    call("global_pools_backward", gx.dtype, batch, height * width, channels, *gradients, pixel, gx)
    return gx


define(
    "pools(Tensor x, int stride) -> (Tensor, Tensor, Tensor)", _pools, _fake_pools, (_remember_pools, _backward_pools)
)
define(
    "pools_backward(Tensor g_largest, Tensor g_average, Tensor tap, int[] shape, int stride) -> Tensor",
    _pools_backward,
    lambda g_largest, g_average, tap, shape, stride: empty(g_largest, *shape),
)
define(
    "global_pools(Tensor x) -> (Tensor, Tensor, Tensor)",
    _global_pools,
    _fake_global_pools,
    (_remember_global_pools, _backward_global_pools),
)
define(
    "global_pools_backward(Tensor g_mean, Tensor g_largest, Tensor pixel, int[] shape) -> Tensor",
    _global_pools_backward,
    lambda g_mean, g_largest, pixel, shape: empty(g_mean, *shape),
)
