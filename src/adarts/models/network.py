"""The network of a genotype: stem, cells, classifier, and in training an auxiliary head and drop path.

It works for any image size and any number of input channels and classes. Weights have torch's default initialization.

Shape suffixes: b batch, c channels, h height, w width, p paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adarts.errors import ConfigError
from adarts.models.operations import (
    BatchNorm2d,
    FactorizedReduce,
    ReLUConvBN,
    ResidualReduction,
    build_operation,
)
from adarts.models.stem import stem
from adarts.spaces.description import Space
from adarts.spaces.genotype import CellGenotype, Genotype
from adarts.spaces.operation_names import WITHOUT_DRAWS
from adarts.spaces.spaces import get_space


@dataclass(frozen=True)
class DropPath:
    """Drops every path of every image with some probability, and scales the others to keep the mean.

    Attributes:
        probability: probability of dropping a path, in [0, 1).
        generator: generator of the masks, so that a resumed run can draw the same ones.
    """

    probability: float
    generator: torch.Generator

    def scales(self, num_paths: int, x_bchw: Tensor) -> Tensor:
        """Factors of the paths, (paths, batch, 1, 1, 1): 0 or 1 / (1 - probability)."""
        keep = 1.0 - self.probability
        # One draw for the whole network, because a draw and a transfer per path would cost more than the paths.
        shape = (num_paths, x_bchw.shape[0], 1, 1, 1)
        kept = torch.empty(shape, device=self.generator.device).bernoulli_(keep, generator=self.generator)
        return kept.div_(keep).to(x_bchw.device, x_bchw.dtype, non_blocking=True)


class Cell(nn.Module):
    """A cell: every node is the sum of its operations, the output is the concatenation of the nodes in ``concat``.

    Args:
        space: space of the genotype.
        kind: kind of the cell.
        genotype: operations and sources.
        in_channels: output channels of the second-last and the last cell before this one.
        channels: channels of every node.
        halve_first: whether the first input has twice the size of the second.
    """

    def __init__(
        self,
        space: Space,
        kind: str,
        genotype: CellGenotype,
        in_channels: tuple[int, int],
        channels: int,
        halve_first: bool,
    ) -> None:
        super().__init__()
        first = FactorizedReduce if halve_first else ReLUConvBN
        self.preprocess = nn.ModuleList(
            [first(in_channels[0], channels), ReLUConvBN(in_channels[1], channels)]
            if space.preprocessed
            else [nn.Identity()] * space.num_inputs
        )
        self.sources = [[source for _, source in pairs] for pairs in genotype.nodes]
        self.nodes = nn.ModuleList(
            nn.ModuleList(build_operation(name, channels, space.stride(kind, source)) for name, source in pairs)
            for pairs in genotype.nodes
        )
        self.concat = genotype.concat
        self.out_channels = channels * len(genotype.concat)

    @property
    def num_paths(self) -> int:
        """Number of operations that drop path can drop: all except identities."""
        return sum(not isinstance(operation, nn.Identity) for node in self._operations() for operation in node)

    def forward(self, first_bchw: Tensor, second_bchw: Tensor, scales: Iterator[Tensor] | None = None) -> Tensor:
        """The cell's output; ``scales`` yields one factor per path, in order."""
        inputs = (first_bchw, second_bchw)[-len(self.preprocess) :]
        states = [module(x) for module, x in zip(self.preprocess, inputs, strict=True)]
        for operations, sources in zip(self._operations(), self.sources, strict=True):
            terms = []
            for operation, source in zip(operations, sources, strict=True):
                term = operation(states[source])
                if scales is not None and not isinstance(operation, nn.Identity):
                    term = term * next(scales)
                terms.append(term)
            # A node without incoming edges is zero. Spaces that allow this have no strides within cells.
            states.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(states[0]))
        return torch.cat([states[node] for node in self.concat], dim=1)

    def _operations(self) -> Iterator[nn.ModuleList]:
        for node in self.nodes:
            assert isinstance(node, nn.ModuleList)
            yield node


class AuxiliaryHead(nn.Module):
    """A second classifier in the middle of the network; its loss provides gradients for the early cells.

    The feature map is averaged to 2x2 over windows of five eighths of its side. For 32x32 images, whose feature map is 8x8, this
    equals the original 5x5 pool with stride 3. Other sizes keep the proportions.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False),
            BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Logits of the head."""
        x_bchw = F.relu(x_bchw)
        height, width = ((5 * side + 4) // 8 for side in x_bchw.shape[2:])
        rows = [
            torch.cat(
                [row[..., :width].mean((2, 3), keepdim=True), row[..., -width:].mean((2, 3), keepdim=True)], dim=3
            )
            for row in (x_bchw[:, :, :height], x_bchw[:, :, -height:])
        ]
        logits: Tensor = self.classifier(self.features(torch.cat(rows, dim=2)).flatten(1))
        return logits


class Network(nn.Module):
    """The network of a genotype, for images of any size.

    Args:
        genotype: the cells.
        num_classes: number of classes.
        channels: channels of the first cells; doubled at each reduction.
        cells: number of cells; the reductions are at one and two thirds.
        in_channels: channels of the images.
        auxiliary: build the auxiliary head, which is used only in training.
        stem_stride: stride of the stem, see :func:`adarts.models.stem.stem`.

    Raises:
        ConfigError: a number is below 1, or the stem has no such stride.
    """

    def __init__(
        self,
        genotype: Genotype,
        num_classes: int,
        channels: int,
        cells: int,
        in_channels: int = 3,
        auxiliary: bool = False,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        sizes = {"num_classes": num_classes, "channels": channels, "cells": cells, "in_channels": in_channels}
        for name, size in sizes.items():
            if size < 1:
                raise ConfigError(f"a network needs {name} of at least 1, not {size}")
        space = get_space(genotype.space)
        self.genotype = genotype
        stem_channels = space.stem_multiplier * channels
        self.stem = stem(in_channels, stem_channels, stem_stride)
        self.cells = nn.ModuleList()
        #: index of a cell -> the residual block before it
        self.reductions = nn.ModuleDict()
        self.auxiliary_index = max(space.reductions(cells))
        inputs, halve_first = (stem_channels, stem_channels), False
        for index in range(cells):
            kind = space.cell_kind(index, cells)
            halves = index in space.reductions(cells)
            channels *= 2 if halves else 1
            if halves and space.reduction_kind is None:
                self.reductions[str(index)] = ResidualReduction(inputs[1], channels)
                inputs = (inputs[0], channels)
            cell = Cell(space, kind, genotype.cells[kind], inputs, channels, halve_first)
            self.cells.append(cell)
            inputs, halve_first = (inputs[1], cell.out_channels), halves
            if auxiliary and index == self.auxiliary_index:
                auxiliary_channels = cell.out_channels
        #: normalization before the classifier, for cells whose output is a single sum
        self.last = nn.Identity() if space.all_nodes else nn.Sequential(BatchNorm2d(inputs[1]), nn.ReLU())
        self.auxiliary_head = AuxiliaryHead(auxiliary_channels, num_classes) if auxiliary else None
        self.classifier = nn.Linear(inputs[1], num_classes)
        #: whether an operation draws, or may draw, random numbers from torch's generator
        self.draws = not WITHOUT_DRAWS.issuperset(genotype.operations)

    #: with channels last, depthwise and 1x1 convolutions are several times faster on a CPU; all operations keep this format
    memory_format = torch.channels_last

    @property
    def num_paths(self) -> int:
        """Number of paths that drop path can drop."""
        return sum(cell.num_paths for cell in self._cells())

    def forward(self, x_bchw: Tensor, path_scales_pb111: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, or in training with an auxiliary head (logits, auxiliary logits).

        Args:
            x_bchw: images.
            path_scales_pb111: factors of the paths of every image, from :meth:`DropPath.scales`; used only in training.
        """
        last_bchw, auxiliary_logits = self.features(x_bchw, path_scales_pb111)
        logits: Tensor = self.classifier(last_bchw.mean((2, 3)))
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

    def features(self, x_bchw: Tensor, path_scales_pb111: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The feature map before the mean and the classifier, and, in training, the logits of the auxiliary head.

        Args:
            x_bchw: images.
            path_scales_pb111: as for :meth:`forward`.
        """
        first = second = self.stem(x_bchw.contiguous(memory_format=self.memory_format))
        scales = None
        if self.training and path_scales_pb111 is not None:
            scales = iter(path_scales_pb111.to(second.dtype))
        auxiliary_logits = None
        for index, cell in enumerate(self._cells()):
            if str(index) in self.reductions:
                second = self.reductions[str(index)](second)
            first, second = second, cell(first, second, scales)
            if self.training and self.auxiliary_head is not None and index == self.auxiliary_index:
                auxiliary_logits = self.auxiliary_head(second)
        return self.last(second), auxiliary_logits

    def _cells(self) -> Iterator[Cell]:
        for cell in self.cells:
            assert isinstance(cell, Cell)
            yield cell
