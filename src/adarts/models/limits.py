"""Limits on a network, and the widest network of a genotype that meets them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn

from adarts.errors import ConfigError
from adarts.models.cost import Cost, cost, operation_macs, operation_sizes
from adarts.models.network import Network
from adarts.models.stem import after_stem
from adarts.spaces import Genotype, Space, get_space, random_genotype

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

    def cost(self, genotype: Genotype, channels: int, cells: int) -> Cost:
        """The cost of this network."""
        with torch.device("meta"):
            return cost(self.network(genotype, channels, cells), self.image_size)


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

    first = [shape.cost(genotype, channels, cells) for channels in (2, 4, 6)]
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


def sizes_within(genotypes: Sequence[Genotype], cells: int, shape: Shape, limits: Limits, most: int) -> Tensor:
    """Parameters of the widest networks of many genotypes that meet the limits on parameters and MACs, float64 (genotypes,).

    The widths are those of :func:`widest`; if not even the narrowest network meets the limits, its parameters count. The
    networks are not built: their costs are sums over operations.

    Args:
        genotypes: cells of one space; at least one.
        cells: number of cells.
        shape: what the images demand.
        limits: the limits; a latency is not considered.
        most: the largest width, even.
    """
    space = get_space(genotypes[0].space)
    masks_gkeo = torch.tensor([[cell.mask(kind) for kind in space.cell_kinds] for cell in genotypes]).double()
    allowed = [math.inf if limit is None else limit for limit in (limits.parameters, limits.macs)]
    allowed_c = torch.tensor(allowed, dtype=torch.float64)
    sizes_g = torch.zeros(len(genotypes), dtype=torch.float64)
    fitting_g = torch.zeros(len(genotypes), dtype=torch.bool)
    first = []
    for channels in (2, 4, 6):
        prices_ckeo, others_c = _prices(space, channels, cells, shape)
        first.append(torch.einsum("gkeo,ckeo->gc", masks_gkeo, prices_ckeo) + others_c)
    for place in reversed(range(most // 2)):
        costs_gc = _quadratic(first, place)
        sizes_g = torch.where(fitting_g, sizes_g, costs_gc[:, 0])
        fitting_g |= (costs_gc <= allowed_c).all(1)
        if fitting_g.all():
            break
    return sizes_g


@cache
def _prices(space: Space, channels: int, cells: int, shape: Shape) -> tuple[Tensor, Tensor]:
    """Parameters and MACs of operations (2, kinds, edges, operations), and of all else in the network of any cells (2,)."""
    read = after_stem(shape.image_size, shape.stem_stride)
    sizes_keo, macs_keo = operation_sizes(space, channels, cells), operation_macs(space, channels, cells, read)
    prices_ckeo = torch.stack([sizes_keo, macs_keo])
    cell = random_genotype(space, 0)
    whole = shape.cost(cell, channels, cells)
    mask_keo = torch.tensor([cell.mask(kind) for kind in space.cell_kinds])
    others_c = torch.tensor([whole.parameters, whole.macs]) - (mask_keo * prices_ckeo).sum((1, 2, 3))
    return prices_ckeo, others_c


Value = TypeVar("Value", int, Tensor)


def _quadratic(values: Sequence[Value], place: int) -> Value:
    """The value at `place` of the quadratic polynomial that has these values at 0, 1 and 2."""
    step, bend = values[1] - values[0], values[2] - 2 * values[1] + values[0]
    return values[0] + place * step + place * (place - 1) // 2 * bend
