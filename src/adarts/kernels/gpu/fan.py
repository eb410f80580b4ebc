"""The sum of several feature maps of one shape."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.gpu.tiles import TILE, divided


@triton.jit
def _total(maps, out, size, COUNT: tl.constexpr, TILE: tl.constexpr):
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    total = tl.load(maps[0] + place, place < size, 0.0)
    for k in tl.static_range(1, COUNT):
        total += tl.load(maps[k] + place, place < size, 0.0)
    tl.store(out + place, total, place < size)


def total(maps: list[Tensor], out: Tensor) -> None:
    """Sum of all maps, in their order."""
    _total[(divided(out.numel(), TILE),)](tuple(maps), out, out.numel(), len(maps), TILE)
