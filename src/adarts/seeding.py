"""Seeds as pure functions of their purpose.

This package never draws from a global random state. Every random number is a function of (seed, purpose, epoch, step or
image index). A resumed run, or one with another number of workers, therefore draws the same numbers as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2^63) for one purpose, e.g. ``derive_seed(seed, "shuffle", epoch)``.

    Different purposes give unrelated seeds; the same arguments give the same seed on every machine and version.
    """
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose; see :func:`derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def dice(seed: int, *purpose: str | int) -> Random:
    """Python's generator for one purpose, for single numbers: a draw takes a tenth of the time of torch's or numpy's."""
    return Random(derive_seed(seed, *purpose))


@contextmanager
def drawing_on_the_cpu(seed: int) -> Iterator[None]:
    """Seed torch's generator of the CPU for a library that draws from it, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def fresh_weights(seed: int | None) -> Iterator[None]:
    """Draw the weights of networks created inside from this seed; if it is None, from torch's global random state."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "network"))
        yield
