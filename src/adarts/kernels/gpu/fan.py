"""The sum of several feature maps of one shape."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.channels import pitch
from adarts.kernels.gpu.tiles import divided, pixels_of, sides


@triton.jit
def _total(maps, pitches, out, pixels, n, COUNT: tl.constexpr, TILE_PIXELS: tl.constexpr, TILE_CHANNELS: tl.constexpr):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < pixels)[:, None] & (c < n)[None, :]
    total = tl.load(maps[0] + p[:, None] * pitches[0] + c[None, :], inside, 0.0)
    for k in tl.static_range(1, COUNT):
        total += tl.load(maps[k] + p[:, None] * pitches[k] + c[None, :], inside, 0.0)
    tl.store(out + p[:, None] * n + c[None, :], total, inside)


def total(maps: list[Tensor], out: Tensor) -> None:
    """Sum of all maps, in their order; some may be slices of larger ones."""
    pixels, n, tile = pixels_of(out), out.shape[1], sides(out.shape[1])
    grid = divided(pixels, tile["TILE_PIXELS"]), divided(n, tile["TILE_CHANNELS"])
    _total[grid](tuple(maps), tuple(map(pitch, maps)), out, pixels, n, COUNT=len(maps), **tile)
