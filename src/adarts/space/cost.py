"""What a network costs: parameters, and multiply-accumulate operations (MACs) for one image.

MACs are half the operations that torch's own counter sees in convolutions and linear layers. Other counters differ by a
few per cent, so a figure is only comparable with figures of the same counter.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from adarts.space.network import Network


@dataclass(frozen=True)
class Cost:
    """The cost of a network.

    Attributes:
        parameters: all parameters but the auxiliary head's, as the field counts.
        auxiliary_parameters: those of the auxiliary head, which only training uses.
        macs: multiply-accumulate operations for one image, outside training.
    """

    parameters: int
    auxiliary_parameters: int
    macs: int


def cost(network: Network, image_size: tuple[int, int] | int) -> Cost:
    """The cost of a network at an image size, (height, width) or the side of a square; nothing is computed."""
    auxiliary = 0 if network.auxiliary_head is None else count_parameters(network.auxiliary_head)
    in_channels = next(network.stem.parameters()).shape[1]
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    macs = count_macs(network, (1, in_channels, height, width))
    return Cost(count_parameters(network) - auxiliary, auxiliary, macs)


def count_parameters(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """MACs of a module outside training, counted on a copy on the meta device."""
    module = copy.deepcopy(module).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(torch.empty(input_shape, device="meta"))
    return counter.get_total_flops() // 2
