"""Pooling: 3x3 maximum and average in one pass, and mean and maximum over all pixels."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.gpu.tiles import TILE, divided, pixels_of, power_of_2, sides
from adarts.kernels.gpu.windows import read, readers


@triton.jit
def _within(i, size, stride):
    """How many of the three pixels that a window reads along one side are inside the image."""
    center = i * stride
    return 1 + (center > 0).to(tl.int32) + (center + 1 < size).to(tl.int32)


@triton.jit
def _pools(
    x,
    largest,
    average,
    taps,
    outputs,
    height,
    width,
    out_height,
    out_width,
    n,
    stride,
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < outputs)[:, None] & (c < n)[None, :]
    image, i, j = p // (out_height * out_width), p // out_width % out_height, p % out_width
    most = tl.full((TILE_PIXELS, TILE_CHANNELS), float("-inf"), x.dtype.element_ty)
    total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), x.dtype.element_ty)
    which = tl.full((TILE_PIXELS, TILE_CHANNELS), 4, tl.int32)  # the center is always inside
    for tap in tl.static_range(9):
        place, there = read(tap, image, i, j, c, inside, height, width, n, stride, 3, 1)
        value = tl.load(x + place, there, 0.0)
        total += value
        larger = there & ((value > most) | (value != value))
        most = tl.where(larger, value, most)
        which = tl.where(larger, tap, which)
    count = _within(i, height, stride) * _within(j, width, stride)
    place = p[:, None] * n + c[None, :]
    tl.store(largest + place, most, inside)
    tl.store(average + place, total / count[:, None], inside)
    tl.store(taps + place, which.to(tl.uint8), inside)


@triton.jit
def _pools_backward(
    g_largest,
    g_average,
    taps,
    gx,
    pixels,
    height,
    width,
    out_height,
    out_width,
    n,
    stride,
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < pixels)[:, None] & (c < n)[None, :]
    image, i, j = p // (height * width), p // width % height, p % width
    total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), gx.dtype.element_ty)
    for tap in tl.static_range(9):
        # The output whose window has this pixel at this place, if there is one.
        row, column, place, there = readers(tap, image, i, j, c, inside, out_height, out_width, n, stride, 3, 1)
        count = _within(row, height, stride) * _within(column, width, stride)
        total += tl.load(g_average + place, there, 0.0) / count[:, None]
        chosen = tl.load(taps + place, there, 9) == tap
        total += tl.where(chosen, tl.load(g_largest + place, there, 0.0), 0.0)
    tl.store(gx + p[:, None] * n + c[None, :], total, inside)


@triton.jit
def _global_pools(x, mean, largest, pixel, pixels, n, TILE_PIXELS: tl.constexpr, TILE_CHANNELS: tl.constexpr):
    b = tl.program_id(0)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    most = tl.full((TILE_PIXELS, TILE_CHANNELS), float("-inf"), x.dtype.element_ty)
    total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), x.dtype.element_ty)
    which = tl.zeros((TILE_PIXELS, TILE_CHANNELS), tl.int32)
    for start in range(0, pixels, TILE_PIXELS):
        p = start + tl.arange(0, TILE_PIXELS)
        inside = (p < pixels)[:, None] & (c < n)[None, :]
        value = tl.load(x + (b * pixels + p)[:, None] * n + c[None, :], inside, 0.0)
        total += value
        larger = inside & ((value > most) | (value != value))
        most = tl.where(larger, value, most)
        which = tl.where(larger, p[:, None], which)
    # A maximum does not let NaN through, so NaN is put in at the end.
    empty = most != most
    broken = tl.max(empty.to(tl.int32), 0) > 0
    top = tl.max(tl.where(empty, float("-inf"), most), 0)
    first = tl.min(tl.where(tl.where(broken[None, :], empty, most == top[None, :]), which, pixels), 0)
    tl.store(mean + b * n + c, tl.sum(total, 0) / pixels, c < n)
    tl.store(largest + b * n + c, tl.where(broken, float("nan"), top), c < n)
    tl.store(pixel + b * n + c, first, c < n)


@triton.jit
def _global_pools_backward(
    g_mean, g_largest, pixel, gx, whole, pixels, n, TILE_PIXELS: tl.constexpr, TILE_CHANNELS: tl.constexpr
):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < whole)[:, None] & (c < n)[None, :]
    place = (p // pixels)[:, None] * n + c[None, :]
    chosen = tl.load(pixel + place, inside, 0) == (p % pixels)[:, None]
    total = tl.load(g_mean + place, inside, 0.0) / pixels
    total += tl.where(chosen, tl.load(g_largest + place, inside, 0.0), 0.0)
    tl.store(gx + p[:, None] * n + c[None, :], total, inside)


def pools(x: Tensor, stride: int, made: tuple[Tensor, Tensor, Tensor]) -> None:
    """Maximum, average, and which of the nine pixels is the maximum: the first one, or the last NaN."""
    largest = made[0]
    n, tile = x.shape[1], sides(x.shape[1])
    outputs = pixels_of(largest)
    grid = (divided(outputs, tile["TILE_PIXELS"]), divided(n, tile["TILE_CHANNELS"]))
    _pools[grid](x, *made, outputs, *x.shape[2:], *largest.shape[2:], n, stride, **tile)


def pools_backward(
    g_largest: Tensor, g_average: Tensor, taps: Tensor, shape: list[int], stride: int, gx: Tensor
) -> None:
    """Gradient of the feature map; every pixel collects from the windows that read it."""
    n, tile, pixels = shape[1], sides(shape[1]), pixels_of(gx)
    grid = (divided(pixels, tile["TILE_PIXELS"]), divided(n, tile["TILE_CHANNELS"]))
    _pools_backward[grid](g_largest, g_average, taps, gx, pixels, *shape[2:], *g_largest.shape[2:], n, stride, **tile)


def global_pools(x: Tensor, made: tuple[Tensor, Tensor, Tensor]) -> None:
    """Mean, maximum, and the pixel of the maximum."""
    batch, n, height, width = x.shape
    side = min(16, power_of_2(n))
    _global_pools[(batch, divided(n, side))](
        x, *made, height * width, n, TILE_PIXELS=min(TILE // side, power_of_2(height * width)), TILE_CHANNELS=side
    )


def global_pools_backward(g_mean: Tensor, g_largest: Tensor, pixel: Tensor, shape: list[int], gx: Tensor) -> None:
    """Gradient of the feature map."""
    n, tile, whole = shape[1], sides(shape[1]), pixels_of(gx)
    grid = (divided(whole, tile["TILE_PIXELS"]), divided(n, tile["TILE_CHANNELS"]))
    _global_pools_backward[grid](g_mean, g_largest, pixel, gx, whole, shape[2] * shape[3], n, **tile)
