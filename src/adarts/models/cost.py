"""The cost of a network: parameters, and multiply-accumulate operations (MACs) per image.

MACs are half the operations that torch's counter reports for convolutions and linear layers. Other counters differ by a few
percent, so compare only figures of the same counter.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from adarts.errors import ConfigError
from adarts.models.network import Network
from adarts.models.operations import build_operation
from adarts.spaces import Genotype, Space, get_space, random_genotype


@dataclass(frozen=True)
class Cost:
    """The cost of a network.

    Attributes:
        parameters: parameters without the auxiliary head, as usual in the literature.
        auxiliary_parameters: parameters of the auxiliary head, which only training uses.
        macs: multiply-accumulate operations per image, in evaluation mode.
    """

    parameters: int
    auxiliary_parameters: int
    macs: int


@dataclass(frozen=True)
class OperationCost:
    """The cost of one operation for one image, without its normalizations.

    Attributes:
        parameters: weights of its convolutions.
        macs: multiply-accumulate operations; a pool has one per pixel of its window.
        accesses: numbers read and written: feature maps and weights.
    """

    parameters: int
    macs: int
    accesses: int


def cost(network: nn.Module, image_size: tuple[int, int] | int) -> Cost:
    """The cost of a network at an image size, counted on the meta device.

    Args:
        network: any network whose first parameter is the weight of the convolution that reads the images.
        image_size: (height, width), or the side of a square.
    """
    head = network.auxiliary_head if isinstance(network, Network) else None
    auxiliary = 0 if head is None else count_parameters(head)
    in_channels = next(network.parameters()).shape[1]
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    macs = count_macs(network, (1, in_channels, height, width))
    return Cost(count_parameters(network) - auxiliary, auxiliary, macs)


def count_parameters(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


@dataclass(frozen=True)
class Place:
    """Where an operation works: its channels, its stride, and the (height, width) of the feature map that it reads."""

    channels: int
    stride: int
    image_size: tuple[int, int]


def places(space: Space, channels: int, cells: int, image_size: tuple[int, int]) -> Iterator[tuple[str, list[Place]]]:
    """The cells of a network in order: the kind of each, and the place of the operation of every edge.

    Args:
        space: the search space.
        channels, cells: width and depth of the network.
        image_size: (height, width) of what the first cell reads.
    """
    for index in range(cells):
        kind, reduces = space.cell_kind(index, cells), index in space.reductions(cells)
        channels *= 2 if reduces else 1
        if reduces and space.reduction_kind is None:
            image_size = _halved(image_size)
        inside = _halved(image_size) if kind == space.reduction_kind else image_size
        yield (
            kind,
            [
                Place(channels, space.stride(kind, source), image_size if source < space.num_inputs else inside)
                for source, _ in space.edges
            ],
        )
        image_size = inside


def _halved(image_size: tuple[int, int]) -> tuple[int, int]:
    height, width = image_size
    return (height + 1) // 2, (width + 1) // 2


@cache
def operation_sizes(space: Space, channels: int, cells: int) -> Tensor:
    """Parameters of every operation, summed over the cells of its kind in a network: (kinds, edges, operations), float64.

    A network has as many parameters as its operations in this table, and others that do not depend on its genotype.

    Args:
        space: the search space.
        channels, cells: width and depth of the network.
    """
    return _summed(space, places(space, channels, cells, (1, 1)), lambda name, at: _size(name, at.channels, at.stride))


@cache
def operation_macs(space: Space, channels: int, cells: int, image_size: tuple[int, int]) -> Tensor:
    """MACs of every operation for one image, laid out like :func:`operation_sizes`.

    Args:
        space: the search space.
        channels, cells: width and depth of the network.
        image_size: (height, width) of what the first cell reads.
    """
    return _summed(space, places(space, channels, cells, image_size), _macs)


def _summed(space: Space, cells: Iterable[tuple[str, list[Place]]], price: Callable[[str, Place], int]) -> Tensor:
    sums_keo = torch.zeros(len(space.cell_kinds), len(space.edges), len(space.operations), dtype=torch.float64)
    for kind, edges in cells:
        prices_eo = [[price(name, place) for name in space.operations] for place in edges]
        sums_keo[space.cell_kinds.index(kind)] += torch.tensor(prices_eo)
    return sums_keo


def network_sizes(genotypes: Sequence[Genotype], channels: int, cells: int) -> Tensor:
    """Parameters of the networks of cells of one space, float64 (genotypes,), with 10 classes and no auxiliary head.

    Args:
        genotypes: the cells; at least one.
        channels, cells: width and depth of the networks.
    """
    space = get_space(genotypes[0].space)
    masks_gkeo = torch.tensor([[cell.mask(kind) for kind in space.cell_kinds] for cell in genotypes])
    in_operations_g = (masks_gkeo * operation_sizes(space, channels, cells)).sum((1, 2, 3))
    return in_operations_g + _other_sizes(space, channels, cells)


@cache
def _other_sizes(space: Space, channels: int, cells: int) -> int:
    """Parameters outside the operations, the same for all cells."""
    cell = random_genotype(space, 0)
    with torch.device("meta"):
        network = Network(cell, num_classes=10, channels=channels, cells=cells)
    mask_keo = torch.tensor([cell.mask(kind) for kind in space.cell_kinds])
    return count_parameters(network) - int((mask_keo * operation_sizes(space, channels, cells)).sum())


@cache
def _size(name: str, channels: int, stride: int) -> int:
    return 0 if name == "none" else count_parameters(build_operation(name, channels, stride))


@cache
def _macs(name: str, place: Place) -> int:
    shape = (1, place.channels, *place.image_size)
    return 0 if name == "none" else count_macs(build_operation(name, place.channels, place.stride), shape)


def width_for(
    genotype: Genotype, parameters: int, num_classes: int, cells: int, in_channels: int = 3, stem_stride: int = 1
) -> int:
    """The smallest width at which the network of a genotype has at least `parameters`, to compare networks of equal size.

    Args:
        genotype: the cells.
        parameters: minimum, without an auxiliary head.
        num_classes: number of classes.
        cells: number of cells.
        in_channels: channels of the images.
        stem_stride: stride of the stem.

    Raises:
        ConfigError: there is no such network at any width.
    """

    def size(channels: int) -> int:
        with torch.device("meta"), suppress(ConfigError):  # a reducing skip connection cannot have an odd width
            return count_parameters(Network(genotype, num_classes, channels, cells, in_channels, False, stem_stride))
        return 0

    with torch.device("meta"):
        Network(
            genotype, num_classes, 2, cells, in_channels, False, stem_stride
        )  # raises for cells that cannot be, whatever the width
    enough = 2
    while size(enough) < parameters:
        enough *= 2
    return next(channels for channels in range(enough // 2, enough + 1) if size(channels) >= parameters)


def count_macs(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """MACs of a module in evaluation mode, counted on a copy on the meta device."""
    module = copy.deepcopy(module).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(torch.empty(input_shape, device="meta"))
    return counter.get_total_flops() // 2


@cache  # a supernet needs the same costs many times
def operation_cost(name: str, channels: int, stride: int, image_size: tuple[int, int]) -> OperationCost:
    """The cost of an operation on a feature map of size (height, width), counted on the meta device."""
    operation = build_operation(name, channels, stride, affine=False).to("meta").eval()
    x_bchw = torch.empty(1, channels, *image_size, device="meta")
    with torch.no_grad(), _Work() as work:
        operation(x_bchw)
    # An identity calls no operator, but its target node still reads the feature map.
    copied = 2 * x_bchw.numel() if isinstance(operation, nn.Identity) else 0
    return OperationCost(count_parameters(operation), work.macs, work.accesses + copied)


class _Work(TorchDispatchMode):
    """Counts MACs and accesses of convolutions, products and pools."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.accesses = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        aten = torch.ops.aten
        if func is aten.convolution.default:
            _, weight, *_ = args
            self._add(result, args[:2], weight[0].numel())
        elif func is aten.mm.default:  # a pointwise convolution in the native kernels' form
            self._add(result, args, args[0].shape[1])
        elif func in (aten.avg_pool2d.default, aten.max_pool2d_with_indices.default):
            _, window, *_ = args
            self._add(result if isinstance(result, Tensor) else result[0], args[:1], math.prod(window))
        return result

    def _add(self, result: Tensor, read: tuple[Tensor, ...], window: int) -> None:
        self.macs += result.numel() * window
        self.accesses += result.numel() + sum(tensor.numel() for tensor in read)
