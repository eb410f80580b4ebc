"""How the kernels divide feature maps: tiles of pixels by channels, and chunks of tiles for sums over pixels."""

from __future__ import annotations

from torch import Tensor

TILE = 2048
"""Numbers in a tile; 16 in each of 128 threads."""
CHANNELS = 16
"""Channels of a tile in convolutions: the least that a product of Triton takes; it holds whole groups of 1, 2, 4, 8 or 16."""
CHUNKS = 256
"""Most chunks of a sum over pixels; a second kernel adds them up in one tile."""


def power_of_2(count: int) -> int:
    """The smallest power of 2 that is not less than ``count``, as Triton needs for sides of tiles."""
    return 1 << (count - 1).bit_length()


def sides(channels: int, most: int = 64) -> dict[str, int]:
    """Pixels and channels of a tile, as constants of a kernel."""
    side = min(power_of_2(channels), most)
    return {"TILE_PIXELS": TILE // side, "TILE_CHANNELS": side}


def pixels_of(x_bchw: Tensor) -> int:
    """Pixels of all images."""
    return x_bchw.numel() // x_bchw.shape[1]


def divided(count: int, size: int) -> int:
    """How many parts of a size cover ``count``."""
    return -(-count // size)


def chunks(pixels: int, tile_pixels: int) -> tuple[int, int]:
    """Pixels of a chunk, a multiple of a tile's, and the number of chunks."""
    size = tile_pixels * divided(pixels, tile_pixels * CHUNKS)
    return size, divided(pixels, size)
