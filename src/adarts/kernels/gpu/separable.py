"""Several depthwise convolutions of one feature map, each followed by a pointwise convolution within groups of channels.

A program computes a tile of pixels by :data:`~adarts.kernels.gpu.tiles.CHANNELS` channels. The pointwise convolution is a product
with a block-diagonal matrix, made in registers from the weights of the groups. ReLU (or normalization and ReLU) is applied when
pixels are loaded, and what lies between depthwise and pointwise convolution is computed again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.gpu.convolution import activated, blocks, collected
from adarts.kernels.gpu.norm import through_normalizations
from adarts.kernels.gpu.tiles import CHANNELS, TILE, divided, pixels_of
from adarts.kernels.gpu.windows import read


@triton.jit
def _separable(
    x,
    mean,
    inv_std,
    depthwise,
    pointwise,
    z,
    outputs,
    height,
    width,
    out_height,
    out_width,
    n,
    stride,
    KERNELS: tl.constexpr,
    DILATIONS: tl.constexpr,
    GROUP: tl.constexpr,
    NORM: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    first = tl.program_id(1) * TILE_CHANNELS
    c = first + tl.arange(0, TILE_CHANNELS)
    inside = (p < outputs)[:, None] & (c < n)[None, :]
    image, i, j = p // (out_height * out_width), p // out_width % out_height, p % out_width
    for k in tl.static_range(len(KERNELS)):
        center = tl.load(mean[k] + c, c < n, 0.0)
        scale = tl.load(inv_std[k] + c, c < n, 0.0)
        y = tl.zeros((TILE_PIXELS, TILE_CHANNELS), z[k].dtype.element_ty)
        for tap in range(KERNELS[k] * KERNELS[k]):
            place, there = read(tap, image, i, j, c, inside, height, width, n, stride, KERNELS[k], DILATIONS[k])
            weight = tl.load(depthwise[k] + c * KERNELS[k] * KERNELS[k] + tap, c < n, 0.0)
            y += weight[None, :] * activated(x[k], place, there, center, scale, NORM)
        if GROUP:
            matrix = blocks(pointwise[k], c, first, n, GROUP, False, TILE_CHANNELS)
            y = tl.dot(y, matrix, input_precision="ieee", out_dtype=y.dtype)
        tl.store(z[k] + p[:, None] * n + c[None, :], y, inside)


@triton.jit
def _separable_backward(
    x,
    mean,
    inv_std,
    gz,
    depthwise,
    pointwise,
    gy,
    parts,
    outputs,
    height,
    width,
    out_height,
    out_width,
    n,
    stride,
    total,
    KERNELS: tl.constexpr,
    DILATIONS: tl.constexpr,
    GROUP: tl.constexpr,
    NORM: tl.constexpr,
    WEIGHTS: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    """Gradients between depthwise and pointwise convolutions, and the sums over a tile for the gradients of all weights.

    parts has shape (tiles of pixels, total): the depthwise weights of all convolutions, then the pointwise weights.
    """
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    first = tl.program_id(1) * TILE_CHANNELS
    c = first + tl.arange(0, TILE_CHANNELS)
    inside = (p < outputs)[:, None] & (c < n)[None, :]
    image, i, j = p // (out_height * out_width), p // out_width % out_height, p % out_width
    out = p[:, None] * n + c[None, :]
    part = parts + tl.program_id(0) * total
    for k in tl.static_range(len(KERNELS)):
        gradient = tl.load(gz[k] + out, inside, 0.0)
        if GROUP:
            after = gradient
            matrix = blocks(pointwise[k], c, first, n, GROUP, True, TILE_CHANNELS)
            gradient = tl.dot(after, matrix, input_precision="ieee", out_dtype=after.dtype)
            tl.store(gy[k] + out, gradient, inside)
        if WEIGHTS:
            center = tl.load(mean[k] + c, c < n, 0.0)
            scale = tl.load(inv_std[k] + c, c < n, 0.0)
            y = tl.zeros((TILE_PIXELS, TILE_CHANNELS), parts.dtype.element_ty)
            for tap in range(KERNELS[k] * KERNELS[k]):
                place, there = read(tap, image, i, j, c, inside, height, width, n, stride, KERNELS[k], DILATIONS[k])
                value = activated(x[k], place, there, center, scale, NORM)
                weight = c * KERNELS[k] * KERNELS[k] + tap
                tl.store(part + weight, tl.sum(value * gradient, 0), c < n)
                if GROUP:
                    y += value * tl.load(depthwise[k] + weight, c < n, 0.0)[None, :]
            part += n * KERNELS[k] * KERNELS[k]
            if GROUP:
                product = tl.dot(tl.trans(after), y, input_precision="ieee", out_dtype=y.dtype)
                within = (c[:, None] // GROUP == c[None, :] // GROUP) & (c < n)[:, None] & (c < n)[None, :]
                tl.store(part + c[:, None] * GROUP + c[None, :] % GROUP, product, within)
                part += n * GROUP


@triton.jit
def _input_gradient(
    x,
    mean,
    inv_std,
    gy,
    depthwise,
    gx,
    parts,
    pixels,
    height,
    width,
    out_height,
    out_width,
    n,
    stride,
    KERNELS: tl.constexpr,
    DILATIONS: tl.constexpr,
    NORM: tl.constexpr,
    EACH: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    """Gradient of the ReLU's argument of one feature map, or of each (EACH), with the sums that its normalization needs.

    parts has shape (2 * maps, tiles, n): the sums of gradient * (x - mean) for every map, then of the gradients.
    """
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < pixels)[:, None] & (c < n)[None, :]
    place = p[:, None] * n + c[None, :]
    total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), gx[0].dtype.element_ty)
    for k in tl.static_range(len(KERNELS)):
        total += collected(
            gy[k], depthwise[k], p, c, inside, height, width, out_height, out_width, n, stride, KERNELS[k], DILATIONS[k]
        )
        if EACH or k == len(KERNELS) - 1:
            centered = tl.load(x[k] + place, inside, 0.0)
            value = centered
            if NORM:
                centered -= tl.load(mean[k] + c, c < n, 0.0)[None, :]
                value = centered * tl.load(inv_std[k] + c, c < n, 0.0)[None, :]
            total = tl.where(value <= 0, 0.0, total)
            tl.store(gx[k if EACH else 0] + place, total, inside)
            if EACH:
                part = parts + (k * tl.num_programs(0) + tl.program_id(0)) * n + c
                tl.store(part, tl.sum(tl.where(inside, total * centered, 0.0), 0), c < n)
                tl.store(part + len(KERNELS) * tl.num_programs(0) * n, tl.sum(total, 0), c < n)
                total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), gx[0].dtype.element_ty)


def separable(
    x: Tensor,
    mean: Tensor | None,
    inv_std: Tensor | None,
    batch_statistics: bool,
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    stride: int,
    made: list[Tensor],
) -> None:
    """All convolutions of one feature map, in one kernel."""
    count = len(depthwise)
    _forward([x] * count, [mean] * count, [inv_std] * count, depthwise, pointwise, dilation, stride, made)


def separable_each(
    x: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    batch_statistics: bool,
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    made: list[Tensor],
) -> None:
    """A convolution of every feature map, in one kernel."""
    _forward(x, mean.unbind(), inv_std.unbind(), depthwise, pointwise, dilation, 1, made)


def separable_backward(
    x: Tensor,
    mean: Tensor | None,
    inv_std: Tensor | None,
    gz: list[Tensor],
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    stride: int,
    weights: bool,
    made: list[Tensor],
) -> None:
    """Gradients of the ReLU's argument, and with `weights` of all depthwise, then of all pointwise weights."""
    count = len(depthwise)
    given = [x] * count, [mean] * count, [inv_std] * count
    made[1:] = _backward(*given, gz, depthwise, pointwise, dilation, stride, weights, made[:1], None)


def separable_each_backward(
    gz: list[Tensor],
    x: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    batch_statistics: bool,
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    weights: bool,
    made: list[Tensor],
) -> None:
    """Gradients of all feature maps, and with `weights` of all depthwise, then of all pointwise weights."""
    maps, n = mean.shape
    inner = [torch.empty_like(m) for m in x]
    parts = mean.new_empty(2 * maps, divided(pixels_of(x[0]), TILE // CHANNELS), n)
    given = x, mean.unbind(), inv_std.unbind()
    made[maps:] = _backward(*given, gz, depthwise, pointwise, dilation, 1, weights, inner, parts)
    through_normalizations(inner, x, mean, inv_std, [batch_statistics] * maps, parts, made[:maps])


def _forward(
    x: Sequence[Tensor],
    mean: Sequence[Tensor | None],
    inv_std: Sequence[Tensor | None],
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    stride: int,
    made: list[Tensor],
) -> None:
    n, tile_pixels, outputs = x[0].shape[1], TILE // CHANNELS, pixels_of(made[0])
    _separable[(divided(outputs, tile_pixels), divided(n, CHANNELS))](
        tuple(x),
        *_statistics(depthwise, mean, inv_std),
        tuple(depthwise),
        tuple(pointwise),
        tuple(made),
        outputs,
        *x[0].shape[2:],
        *made[0].shape[2:],
        n,
        stride,
        GROUP=pointwise[0].shape[2] if pointwise else 0,
        **_constants(depthwise, dilation, mean),
    )


def _backward(
    x: Sequence[Tensor],
    mean: Sequence[Tensor | None],
    inv_std: Sequence[Tensor | None],
    gz: list[Tensor],
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    stride: int,
    weights: bool,
    gx: list[Tensor],
    parts: Tensor | None,
) -> list[Tensor]:
    """Two kernels, and with `weights` a sum over tiles, whose parts are returned as the gradients of all weights."""
    n, tile_pixels, group = x[0].shape[1], TILE // CHANNELS, pointwise[0].shape[2] if pointwise else 0
    outputs, pixels = pixels_of(gz[0]), pixels_of(x[0])
    given = _statistics(depthwise, mean, inv_std)
    shape = *x[0].shape[2:], *gz[0].shape[2:], n, stride
    constants = _constants(depthwise, dilation, mean)
    gy = [torch.empty_like(g) for g in gz] if group else gz
    if group or weights:
        tiles = divided(outputs, tile_pixels)
        # The weights of each convolution, depthwise then pointwise, one convolution after the other.
        total = sum(w.numel() for w in (*depthwise, *pointwise)) if weights else 0
        sums = x[0].new_empty(tiles, total)
        _separable_backward[(tiles, divided(n, CHANNELS))](
            tuple(x),
            *given,
            tuple(gz),
            tuple(depthwise),
            tuple(pointwise),
            tuple(gy),
            sums,
            outputs,
            *shape,
            total,
            GROUP=group,
            WEIGHTS=weights,
            **constants,
        )
    _input_gradient[(divided(pixels, tile_pixels), divided(n, CHANNELS))](
        tuple(x),
        *given,
        tuple(gy),
        tuple(depthwise),
        tuple(gx),
        gx[0] if parts is None else parts,
        pixels,
        *shape,
        EACH=parts is not None,
        **constants,
    )
    if not weights:
        return []
    pairs = zip(depthwise, pointwise, strict=True)
    order = [w for pair in pairs for w in pair] if group else depthwise
    parts_of_sum = sums.sum(0).split([w.numel() for w in order])
    found = [part.view(w.shape) for part, w in zip(parts_of_sum, order, strict=True)]
    return [*found[::2], *found[1::2]] if group else found


def _statistics(
    depthwise: list[Tensor], mean: Sequence[Tensor | None], inv_std: Sequence[Tensor | None]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The statistics; without them some tensors, which are not used."""
    found = [[w if m is None else m for w, m in zip(depthwise, each, strict=True)] for each in (mean, inv_std)]
    return tuple(found[0]), tuple(found[1])


def _constants(depthwise: list[Tensor], dilation: list[int], mean: Sequence[Tensor | None]) -> dict[str, Any]:
    return {
        "KERNELS": tuple(w.shape[-1] for w in depthwise),
        "DILATIONS": tuple(dilation),
        "NORM": mean[0] is not None,
        "TILE_PIXELS": TILE // CHANNELS,
        "TILE_CHANNELS": CHANNELS,
    }
