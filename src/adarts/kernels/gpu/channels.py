"""Partial channel connections: select channels of a node for its edges, and write the results back to the next node.

One program computes a tile of pixels of one image; where sums over an image are needed, all its pixels. Two edges may select the
same channel, so what returns to the channels is compared with every index. Indices must be valid; nothing checks them here.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.channels import pitch
from adarts.kernels.gpu.tiles import TILE, divided, power_of_2


@triton.jit
def _select(
    x, index, scale, out, pixels, C, n, PER_IMAGE: tl.constexpr, TILE_PIXELS: tl.constexpr, TILE_N: tl.constexpr
):
    b = tl.program_id(1)
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    j = tl.arange(0, TILE_N)
    inside = (p < pixels)[:, None] & (j < n)[None, :]
    row = (b * pixels + p)[:, None]
    place = tl.load(index + b * n * PER_IMAGE + j, j < n, 0)
    factor = tl.load(scale + b * n + j, j < n, 0.0)
    value = tl.load(x + row * C + place[None, :], inside, 0.0)
    tl.store(out + row * n + j[None, :], value * factor[None, :], inside)


@triton.jit
def _select_backward(
    g,
    x,
    index,
    scale,
    gx,
    g_scale,
    pixels,
    C,
    n,
    PER_IMAGE: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_C: tl.constexpr,
    TILE_N: tl.constexpr,
):
    b = tl.program_id(0)
    c = tl.arange(0, TILE_C)
    j = tl.arange(0, TILE_N)
    index += b * n * PER_IMAGE
    scale += b * n
    place = tl.load(index + j, j < n, 0)
    sums = tl.zeros((TILE_N,), g.dtype.element_ty)
    for start in range(0, pixels, TILE_PIXELS):
        p = start + tl.arange(0, TILE_PIXELS)
        row = (b * pixels + p)[:, None]
        inside = (p < pixels)[:, None]
        value = tl.load(x + row * C + place[None, :], inside & (j < n)[None, :], 0.0)
        sums += tl.sum(value * tl.load(g + row * n + j[None, :], inside & (j < n)[None, :], 0.0), 0)
        total = tl.zeros((TILE_PIXELS, TILE_C), g.dtype.element_ty)
        for i in range(n):
            gradient = tl.load(g + row * n + i, inside, 0.0) * tl.load(scale + i)
            total += tl.where(c[None, :] == tl.load(index + i), gradient, 0.0)
        tl.store(gx + row * C + c[None, :], total, inside & (c < C)[None, :])
    tl.store(g_scale + b * n + j, sums, j < n)


@triton.jit
def _write_back(
    bypass,
    gate,
    mixed,
    index,
    pitch,
    out,
    pixels,
    C,
    c,
    COUNT: tl.constexpr,
    PER_IMAGE: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_C: tl.constexpr,
):
    b = tl.program_id(1)
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    q = tl.arange(0, TILE_C)
    row = (b * pixels + p)[:, None]
    inside = (p < pixels)[:, None]
    total = tl.zeros((TILE_PIXELS, TILE_C), out.dtype.element_ty)
    for k in tl.static_range(COUNT):
        factor = tl.load(gate[k] + b * C + q, q < C, 0.0)
        total += factor[None, :] * tl.load(bypass[k] + row * C + q[None, :], inside & (q < C)[None, :], 0.0)
        for j in range(c):
            result = tl.load(mixed[k] + row * pitch[k] + j, inside, 0.0)
            total += tl.where(q[None, :] == tl.load(index[k] + b * c * PER_IMAGE + j), result, 0.0)
    tl.store(out + row * C + q[None, :], total, inside & (q < C)[None, :])


@triton.jit
def _write_back_backward(
    g,
    bypass,
    gate,
    index,
    g_bypass,
    g_gate,
    g_mixed,
    pixels,
    C,
    c,
    COUNT: tl.constexpr,
    PER_IMAGE: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_C: tl.constexpr,
    TILE_N: tl.constexpr,
):
    b = tl.program_id(0)
    q = tl.arange(0, TILE_C)
    j = tl.arange(0, TILE_N)
    for k in tl.static_range(COUNT):
        if tl.program_id(1) == k:
            place = tl.load(index[k] + b * c * PER_IMAGE + j, j < c, 0)
            factor = tl.load(gate[k] + b * C + q, q < C, 0.0)
            sums = tl.zeros((TILE_C,), g.dtype.element_ty)
            for start in range(0, pixels, TILE_PIXELS):
                p = start + tl.arange(0, TILE_PIXELS)
                row = (b * pixels + p)[:, None]
                inside = (p < pixels)[:, None] & (q < C)[None, :]
                gradient = tl.load(g + row * C + q[None, :], inside, 0.0)
                sums += tl.sum(gradient * tl.load(bypass[k] + row * C + q[None, :], inside, 0.0), 0)
                tl.store(g_bypass[k] + row * C + q[None, :], gradient * factor[None, :], inside)
                selected = (p < pixels)[:, None] & (j < c)[None, :]
                result = tl.load(g + row * C + place[None, :], selected, 0.0)
                tl.store(g_mixed[k] + row * c + j[None, :], result, selected)
            tl.store(g_gate[k] + b * C + q, sums, q < C)


def select(x: Tensor, index: Tensor, scale: Tensor, out: Tensor) -> None:
    """Selected and scaled channels."""
    batch, channels, height, width = x.shape
    n, tile = out.shape[1], power_of_2(out.shape[1])
    tile_pixels = max(1, TILE // tile)
    grid = (divided(height * width, tile_pixels), batch)
    _select[grid](x, index, scale, out, height * width, channels, n, len(index) > 1, tile_pixels, tile)


def select_backward(g: Tensor, x: Tensor, index: Tensor, scale: Tensor, made: tuple[Tensor, Tensor]) -> None:
    """Gradients of feature map and scale."""
    batch, channels, height, width = x.shape
    tiles = power_of_2(channels), power_of_2(g.shape[1])
    tile_pixels = max(1, TILE // max(tiles))
    _select_backward[(batch,)](
        g, x, index, scale, *made, height * width, channels, g.shape[1], len(index) > 1, tile_pixels, *tiles
    )


def write_back(bypass: list[Tensor], gate: list[Tensor], mixed: list[Tensor], index: list[Tensor], out: Tensor) -> None:
    """The feature map of a node."""
    batch, channels, height, width = out.shape
    tile = power_of_2(channels)
    tile_pixels = max(1, TILE // tile)
    _write_back[(divided(height * width, tile_pixels), batch)](
        *map(tuple, (bypass, gate, mixed, index)),
        tuple(pitch(m) for m in mixed),
        out,
        height * width,
        channels,
        mixed[0].shape[1],
        len(bypass),
        len(index[0]) > 1,
        tile_pixels,
        tile,
    )


def write_back_backward(
    g: Tensor, bypass: list[Tensor], gate: list[Tensor], index: list[Tensor], selected: int, made: list[Tensor]
) -> None:
    """Gradients of all bypasses, then of all gates, then of all results of operations."""
    batch, channels, height, width = g.shape
    count, tile = len(bypass), power_of_2(channels)
    _write_back_backward[(batch, count)](
        g,
        *map(tuple, (bypass, gate, index, made[:count], made[count : 2 * count], made[2 * count :])),
        height * width,
        channels,
        selected,
        count,
        len(index[0]) > 1,
        max(1, TILE // tile),
        tile,
        power_of_2(selected),
    )
