"""Random numbers per image, as a pure function of (key, image index).

A counter-based hash (the finalizer of splitmix64) replaces a generator. So an image is augmented in the same way in any
batch, in any order, on any device, and after a resume.
"""

from __future__ import annotations

import torch
from torch import Tensor

BITS = 31
"""Bits of one draw; few enough that a draw times a range fits into an int64."""


# The constants of splitmix64 as int64, which wraps around in torch as the hash requires.
_GAMMA, _FIRST, _SECOND = (x - (1 << 64) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right without copying the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def draws(key: int, indices: Tensor, count: int) -> Tensor:
    """Random numbers of the images with these indices: int64 (b, count), uniform in [0, 2^31).

    The key, from :func:`adarts.seeding.derive_seed`, identifies their purpose.
    """
    image = _mix((indices + 1) * _GAMMA + key)
    number = torch.arange(1, count + 1, device=indices.device) * _GAMMA
    return _shift(_mix(image[:, None] + number), 64 - BITS)


def below(draws: Tensor, limit: int) -> Tensor:
    """Convert draws to integers, uniform in [0, limit)."""
    return (draws * limit) >> BITS
