"""Windows that slide over feature maps: which pixels an output reads with a tap, and which outputs read a pixel with it.

A window of KERNEL by KERNEL taps is centered; its taps are DILATION pixels apart. Places are offsets in channels-last maps with n
channels, of shape (pixels, channels) as a tile.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def read(tap, image, i, j, c, inside, height, width, n, stride, KERNEL: tl.constexpr, DILATION: tl.constexpr):
    """Where the pixels are that the outputs (i, j) read with a tap, and whether they are inside the image."""
    row = i * stride + (tap // KERNEL - KERNEL // 2) * DILATION
    column = j * stride + (tap % KERNEL - KERNEL // 2) * DILATION
    there = inside & ((row >= 0) & (row < height) & (column >= 0) & (column < width))[:, None]
    return ((image * height + row) * width + column)[:, None] * n + c[None, :], there


@triton.jit
def readers(
    tap, image, i, j, c, inside, out_height, out_width, n, stride, KERNEL: tl.constexpr, DILATION: tl.constexpr
):
    """The outputs that read the pixels (i, j) with a tap: their rows and columns, where they are, and whether they exist."""
    row = i - (tap // KERNEL - KERNEL // 2) * DILATION
    column = j - (tap % KERNEL - KERNEL // 2) * DILATION
    reads = (row >= 0) & (column >= 0) & (row % stride == 0) & (column % stride == 0)
    row, column = row // stride, column // stride
    there = inside & (reads & (row < out_height) & (column < out_width))[:, None]
    return row, column, ((image * out_height + row) * out_width + column)[:, None] * n + c[None, :], there
