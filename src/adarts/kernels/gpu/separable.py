"""Several depthwise convolutions of one feature map, each followed by a pointwise convolution within groups of channels.

A program computes a tile of pixels by :data:`~adarts.kernels.gpu.tiles.CHANNELS` channels. The pointwise convolution is a product
with a block-diagonal matrix, made in registers from the weights of the groups. ReLU (or normalization and ReLU) is applied when
pixels are loaded, and what lies between depthwise and pointwise convolution is computed again in the backward pass.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.gpu.tiles import CHANNELS, TILE, divided, pixels_of


@triton.jit
def _activated(x, place, there, center, scale, NORM: tl.constexpr):
    """ReLU of x, or of the normalized x; 0 outside the image. NaN stays NaN."""
    value = tl.load(x + place, there, 0.0)
    if NORM:
        value = tl.where(there, (value - center[None, :]) * scale[None, :], 0.0)
    return tl.where(value <= 0, 0.0, value)


@triton.jit
def _blocks(weight, c, first, n, SIZE: tl.constexpr, TRANSPOSED: tl.constexpr, TILE_CHANNELS: tl.constexpr):
    """The block-diagonal matrix (in, out) of the groups in a tile, from weights (groups, out, in); transposed (out, in)."""
    rows = first + tl.arange(0, TILE_CHANNELS)[:, None]
    columns = first + tl.arange(0, TILE_CHANNELS)[None, :]
    within = (rows // SIZE == columns // SIZE) & (rows < n) & (columns < n)
    place = rows * SIZE + columns % SIZE if TRANSPOSED else columns * SIZE + rows % SIZE
    return tl.load(weight + place, within, 0.0)


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
    center = tl.load(mean + c, c < n, 0.0)
    scale = tl.load(inv_std + c, c < n, 0.0)
    for k in tl.static_range(len(KERNELS)):
        y = tl.zeros((TILE_PIXELS, TILE_CHANNELS), x.dtype.element_ty)
        for tap in range(KERNELS[k] * KERNELS[k]):
            row = i * stride + (tap // KERNELS[k] - KERNELS[k] // 2) * DILATIONS[k]
            column = j * stride + (tap % KERNELS[k] - KERNELS[k] // 2) * DILATIONS[k]
            there = inside & ((row >= 0) & (row < height) & (column >= 0) & (column < width))[:, None]
            place = ((image * height + row) * width + column)[:, None] * n + c[None, :]
            weight = tl.load(depthwise[k] + c * KERNELS[k] * KERNELS[k] + tap, c < n, 0.0)
            y += weight[None, :] * _activated(x, place, there, center, scale, NORM)
        if GROUP:
            matrix = _blocks(pointwise[k], c, first, n, GROUP, False, TILE_CHANNELS)
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
    center = tl.load(mean + c, c < n, 0.0)
    scale = tl.load(inv_std + c, c < n, 0.0)
    out = p[:, None] * n + c[None, :]
    part = parts + tl.program_id(0) * total
    for k in tl.static_range(len(KERNELS)):
        gradient = tl.load(gz[k] + out, inside, 0.0)
        if GROUP:
            after = gradient
            matrix = _blocks(pointwise[k], c, first, n, GROUP, True, TILE_CHANNELS)
            gradient = tl.dot(after, matrix, input_precision="ieee", out_dtype=after.dtype)
            tl.store(gy[k] + out, gradient, inside)
        if WEIGHTS:
            y = tl.zeros((TILE_PIXELS, TILE_CHANNELS), x.dtype.element_ty)
            for tap in range(KERNELS[k] * KERNELS[k]):
                row = i * stride + (tap // KERNELS[k] - KERNELS[k] // 2) * DILATIONS[k]
                column = j * stride + (tap % KERNELS[k] - KERNELS[k] // 2) * DILATIONS[k]
                there = inside & ((row >= 0) & (row < height) & (column >= 0) & (column < width))[:, None]
                place = ((image * height + row) * width + column)[:, None] * n + c[None, :]
                value = _activated(x, place, there, center, scale, NORM)
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
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    """Gradient of the ReLU's argument; every pixel collects from the outputs that read it."""
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < pixels)[:, None] & (c < n)[None, :]
    image, i, j = p // (height * width), p // width % height, p % width
    total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), x.dtype.element_ty)
    for k in tl.static_range(len(KERNELS)):
        for tap in range(KERNELS[k] * KERNELS[k]):
            row = i - (tap // KERNELS[k] - KERNELS[k] // 2) * DILATIONS[k]
            column = j - (tap % KERNELS[k] - KERNELS[k] // 2) * DILATIONS[k]
            reads = (row >= 0) & (column >= 0) & (row % stride == 0) & (column % stride == 0)
            row, column = row // stride, column // stride
            there = inside & (reads & (row < out_height) & (column < out_width))[:, None]
            place = ((image * out_height + row) * out_width + column)[:, None] * n + c[None, :]
            weight = tl.load(depthwise[k] + c * KERNELS[k] * KERNELS[k] + tap, c < n, 0.0)
            total += weight[None, :] * tl.load(gy[k] + place, there, 0.0)
    place = p[:, None] * n + c[None, :]
    center = tl.load(mean + c, c < n, 0.0)
    scale = tl.load(inv_std + c, c < n, 0.0)
    value = tl.load(x + place, inside, 0.0)
    if NORM:
        value = (value - center[None, :]) * scale[None, :]
    tl.store(gx + place, tl.where(value <= 0, 0.0, total), inside)


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
    """All convolutions in one kernel."""
    n, tile_pixels, outputs = x.shape[1], TILE // CHANNELS, pixels_of(made[0])
    _separable[(divided(outputs, tile_pixels), divided(n, CHANNELS))](
        x,
        *_given(depthwise, mean, inv_std),
        tuple(depthwise),
        tuple(pointwise),
        tuple(made),
        outputs,
        *x.shape[2:],
        *made[0].shape[2:],
        n,
        stride,
        KERNELS=tuple(w.shape[-1] for w in depthwise),
        DILATIONS=tuple(dilation),
        GROUP=pointwise[0].shape[-1] if pointwise else 0,
        NORM=mean is not None,
        TILE_PIXELS=tile_pixels,
        TILE_CHANNELS=CHANNELS,
    )


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
    gx, *g_weights = made
    n, tile_pixels, group = x.shape[1], TILE // CHANNELS, pointwise[0].shape[-1] if pointwise else 0
    outputs, pixels = pixels_of(gz[0]), pixels_of(x)
    given = _given(depthwise, mean, inv_std)
    shape = *x.shape[2:], *gz[0].shape[2:], n, stride
    constants = {
        "KERNELS": tuple(w.shape[-1] for w in depthwise),
        "DILATIONS": tuple(dilation),
        "NORM": mean is not None,
        "TILE_PIXELS": tile_pixels,
        "TILE_CHANNELS": CHANNELS,
    }
    gy = [torch.empty_like(g) for g in gz] if group else gz
    if group or weights:
        tiles = divided(outputs, tile_pixels)
        # The weights of each convolution, depthwise then pointwise, one convolution after the other.
        order = [w for pair in zip(depthwise, pointwise, strict=True) for w in pair] if group else depthwise
        total = sum(w.numel() for w in order) if weights else 0
        parts = x.new_empty(tiles, total)
        _separable_backward[(tiles, divided(n, CHANNELS))](
            x,
            *given,
            tuple(gz),
            tuple(depthwise),
            tuple(pointwise),
            tuple(gy),
            parts,
            outputs,
            *shape,
            total,
            GROUP=group,
            WEIGHTS=weights,
            **constants,
        )
    _input_gradient[(divided(pixels, tile_pixels), divided(n, CHANNELS))](
        x, *given, tuple(gy), tuple(depthwise), gx, pixels, *shape, **constants
    )
    if weights:
        count = len(depthwise)
        targets = (
            [g for pair in zip(g_weights[:count], g_weights[count:], strict=True) for g in pair] if group else g_weights
        )
        sums = parts.sum(0).split([w.numel() for w in order])
        torch._foreach_copy_([g.view(-1) for g in targets], list(sums))


def _given(depthwise: list[Tensor], mean: Tensor | None, inv_std: Tensor | None) -> tuple[Tensor, Tensor]:
    """The statistics; without them some tensor, which is loaded but not used."""
    return (depthwise[0], depthwise[0]) if mean is None or inv_std is None else (mean, inv_std)
