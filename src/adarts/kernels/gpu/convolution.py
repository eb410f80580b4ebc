"""Parts of the kernels of separable convolutions: inputs, pointwise weights, and gradients of the input."""

from __future__ import annotations

import triton
import triton.language as tl

from adarts.kernels.gpu.windows import readers


@triton.jit
def activated(x, place, there, center, scale, NORM: tl.constexpr):
    """ReLU of x, or of the normalized x; 0 outside the image. NaN stays NaN."""
    value = tl.load(x + place, there, 0.0)
    if NORM:
        value = tl.where(there, (value - center[None, :]) * scale[None, :], 0.0)
    return tl.where(value <= 0, 0.0, value)


@triton.jit
def blocks(weight, c, first, n, SIZE: tl.constexpr, TRANSPOSED: tl.constexpr, TILE_CHANNELS: tl.constexpr):
    """The block-diagonal matrix (in, out) of the groups in a tile, from weights (groups, out, in); transposed (out, in)."""
    rows = first + tl.arange(0, TILE_CHANNELS)[:, None]
    columns = first + tl.arange(0, TILE_CHANNELS)[None, :]
    within = (rows // SIZE == columns // SIZE) & (rows < n) & (columns < n)
    place = rows * SIZE + columns % SIZE if TRANSPOSED else columns * SIZE + rows % SIZE
    return tl.load(weight + place, within, 0.0)


@triton.jit
def collected(
    gy,
    weights,
    p,
    c,
    inside,
    height,
    width,
    out_height,
    out_width,
    n,
    stride,
    KERNEL: tl.constexpr,
    DILATION: tl.constexpr,
):
    """What pixels collect from the outputs of one depthwise convolution that read them."""
    image, i, j = p // (height * width), p // width % height, p % width
    total = tl.zeros(inside.shape, gy.dtype.element_ty)
    for tap in range(KERNEL * KERNEL):
        _, _, place, there = readers(tap, image, i, j, c, inside, out_height, out_width, n, stride, KERNEL, DILATION)
        weight = tl.load(weights + c * KERNEL * KERNEL + tap, c < n, 0.0)
        total += weight[None, :] * tl.load(gy + place, there, 0.0)
    return total
