"""Limits on a network, and the widest network of a genotype that meets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from adarts.errors import ConfigError
from adarts.models.cost import Cost, cost
from adarts.models.network import Network
from adarts.spaces import Genotype

WIDEST = 256
"""Largest width that is considered, unless the caller says less."""


@dataclass(frozen=True)
class Limits:
    """The largest network that may be delivered; None sets no limit.

    Attributes:
        parameters: number of parameters.
        macs: multiply-accumulate operations per image.
        latency: milliseconds for one image.
    """

    parameters: int | None = None
    macs: int | None = None
    latency: float | None = None

    def broken(self, found: Cost, latency: float | None = None) -> list[str]:
        """What a network has too much of, each in words; a latency that was not measured breaks no limit."""
        problems = []
        if self.parameters is not None and found.parameters > self.parameters:
            problems.append(f"{found.parameters:,} parameters, more than {self.parameters:,}")
        if self.macs is not None and found.macs > self.macs:
            problems.append(f"{found.macs:,} MACs per image, more than {self.macs:,}")
        if self.latency is not None and latency is not None and latency > self.latency:
            problems.append(f"a latency of {latency:.2f} ms, more than {self.latency:g} ms")
        return problems


@dataclass(frozen=True)
class Shape:
    """What the images demand of a network.

    Attributes:
        num_classes: number of classes.
        in_channels: channels of the images.
        image_size: (height, width) of the images.
        stem_stride: stride of the stem.
    """

    num_classes: int
    in_channels: int
    image_size: tuple[int, int]
    stem_stride: int = 1

    def network(self, genotype: Genotype, channels: int, cells: int) -> Network:
        """The network of a genotype for these images, on torch's current default device."""
        return Network(genotype, self.num_classes, channels, cells, self.in_channels, False, self.stem_stride)


def widest(
    genotype: Genotype,
    cells: int,
    shape: Shape,
    limits: Limits,
    latency: Callable[[nn.Module], float] | None = None,
    most: int = WIDEST,
) -> int:
    """The largest even width, up to `most`, at which the network of a genotype meets all limits.

    Parameters and MACs are quadratic in the width, so three widths tell them all. The latency is taken to grow with the width
    and measured for a few; the width that is returned was measured.

    Args:
        genotype: the cells.
        cells: number of cells.
        shape: what the images demand.
        limits: the limits.
        latency: network on the CPU -> measured milliseconds for one image; needed if the latency is limited.
        most: the largest width that is considered.

    Raises:
        ConfigError: no width meets the limits; the message has what the narrowest network needs.
    """
    if limits.latency is not None and latency is None:
        raise ValueError("a limit on the latency needs a way to measure it")

    def count(channels: int) -> Cost:
        with torch.device("meta"):
            return cost(shape.network(genotype, channels, cells), shape.image_size)

    first = [count(channels) for channels in (2, 4, 6)]
    of_parameters, of_macs = ([getattr(one, name) for one in first] for name in ("parameters", "macs"))

    def problems(channels: int) -> list[str]:
        half = channels // 2 - 1
        counted = Cost(_quadratic(of_parameters, half), 0, _quadratic(of_macs, half))
        found = limits.broken(counted)
        if found or limits.latency is None or latency is None:
            return found
        return limits.broken(counted, latency(shape.network(genotype, channels, cells).eval()))

    low, high = 1, most // 2 + 1  # half the width that fits, half the first that does not
    if found := problems(2 * low):
        raise ConfigError(f"with {cells} cells, even the narrowest network has {' and '.join(found)}")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if problems(2 * middle) else (middle, high)
    return 2 * low


def _quadratic(values: Sequence[int], place: int) -> int:
    """The value at `place` of the quadratic polynomial that has these values at 0, 1 and 2."""
    step, bend = values[1] - values[0], values[2] - 2 * values[1] + values[0]
    return values[0] + place * step + place * (place - 1) // 2 * bend
