"""DenseNet-BC for CIFAR: Huang et al., Densely Connected Convolutional Networks, section 3.

Own code: torchvision's DenseNet has the stem for ImageNet, and four blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adarts.errors import ConfigError
from adarts.models.baselines.parts import Classifier, convolution, normalized


class DenseLayer(nn.Module):
    """Adds ``growth`` channels, made of all channels before them through a bottleneck of ``4 * growth`` (the B of BC)."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            *normalized(in_channels),
            convolution(in_channels, 4 * growth, 1),
            *normalized(4 * growth),
            convolution(4 * growth, growth, 3),
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """All channels before, and the new ones."""
        return torch.cat([x_bchw, self.new(x_bchw)], dim=1)


def densenet(depth: int, growth: int, num_classes: int, in_channels: int = 3) -> Classifier:
    """DenseNet-BC with ``depth`` = 6n + 4 layers: three dense blocks of n layers, between them half the channels (the C of BC).

    Raises:
        ConfigError: there is none of this depth.
    """
    layers_of_block, rest = divmod(depth - 4, 6)
    if rest or layers_of_block < 1:
        raise ConfigError(f"a DenseNet-BC for CIFAR has 6n + 4 layers, e.g. 100 or 190, not {depth}")
    channels = 2 * growth
    layers: list[nn.Module] = [convolution(in_channels, channels, 3)]
    for block in range(3):
        if block > 0:
            layers += [*normalized(channels), convolution(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(layers_of_block):
            layers.append(DenseLayer(channels, growth))
            channels += growth
    return Classifier(nn.Sequential(*layers, *normalized(channels)), channels, num_classes)
