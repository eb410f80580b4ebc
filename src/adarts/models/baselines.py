"""Hand-designed networks in the variants behind their CIFAR results, to compare with found cells.

Their records, with papers, published figures and recipes, are in :mod:`adarts.zoo.baselines`. Except for MobileNetV2, they are
implemented here, because torchvision and timm have the ImageNet variants of ResNet, DenseNet and VGG, with other stems, widths,
shortcuts and classifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import MobileNetV2

from adarts.config.values import folded
from adarts.errors import ConfigError, nearest


class Classifier(nn.Module):
    """Features, their mean over the image, and one linear layer; works for any image size.

    Convolutions are initialized as in He et al., Delving Deep into Rectifiers, eq. 14 (the form that keeps the variance of
    gradients); all biases are zero.

    Args:
        features: images -> last feature map.
        channels: channels of the last feature map.
        num_classes: number of classes.
    """

    def __init__(self, features: nn.Module, channels: int, num_classes: int) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Class logits."""
        # The mean instead of nn.AdaptiveAvgPool2d, whose gradient is not deterministic on a GPU.
        logits: Tensor = self.classifier(self.feature_map(x_bchw).mean((2, 3)))
        return logits

    def feature_map(self, x_bchw: Tensor) -> Tensor:
        """The feature map before the mean and the classifier."""
        features_bchw: Tensor = self.features(x_bchw.contiguous(memory_format=torch.channels_last))
        return features_bchw


def convolution(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size of the image, or halves it."""
    return nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)


def normalized(channels: int) -> list[nn.Module]:
    """Batch normalization and ReLU."""
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


class PaddedShortcut(nn.Module):
    """Option A of He et al.: every second pixel, and zeros for the channels that are new. It has no parameters."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.new_channels = new_channels

    def forward(self, x_bchw: Tensor) -> Tensor:
        return F.pad(x_bchw[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))


class Block(nn.Module):
    """Two 3x3 convolutions, and a shortcut around them. With more channels, the image is halved."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        stride = 1 if channels == in_channels else 2
        self.residual = nn.Sequential(
            convolution(in_channels, channels, 3, stride),
            *normalized(channels),
            convolution(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Identity() if stride == 1 else PaddedShortcut(channels - in_channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        return F.relu(self.residual(x_bchw) + self.shortcut(x_bchw))


def resnet(depth: int, num_classes: int, in_channels: int = 3) -> Classifier:
    """The ResNet of He et al., section 4.2, with ``depth`` = 6n + 2 layers: n blocks each of 16, 32 and 64 channels.

    Raises:
        ConfigError: the depth is not 6n + 2.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ConfigError(f"a ResNet for CIFAR has 6n + 2 layers, e.g. 20 or 110, not {depth}")
    layers: list[nn.Module] = [convolution(in_channels, 16, 3), *normalized(16)]
    before = 16
    for channels in (16, 32, 64):
        for _ in range(blocks):
            layers.append(Block(before, channels))
            before = channels
    return Classifier(nn.Sequential(*layers), before, num_classes)


class DenseLayer(nn.Module):
    """Appends ``growth`` channels, computed from all earlier ones through a bottleneck of ``4 * growth`` (the B of BC)."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            *normalized(in_channels),
            convolution(in_channels, 4 * growth, 1),
            *normalized(4 * growth),
            convolution(4 * growth, growth, 3),
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        return torch.cat([x_bchw, self.new(x_bchw)], dim=1)


def densenet(depth: int, growth: int, num_classes: int, in_channels: int = 3) -> Classifier:
    """DenseNet-BC (Huang et al., section 3) with ``depth`` = 6n + 4 layers: three dense blocks of n layers.

    Between the blocks it halves the channels (the C of BC).

    Raises:
        ConfigError: the depth is not 6n + 4.
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


def vgg(stages: Sequence[tuple[int, int]], num_classes: int, in_channels: int = 3) -> Classifier:
    """A VGG (Simonyan, Zisserman) with batch normalization, and one linear layer, as github.com/bearpaw/pytorch-classification.

    Args:
        stages: for each, (channels, number of 3x3 convolutions with bias); a pool that halves the image follows.
        num_classes: number of classes.
        in_channels: channels of the images.
    """
    layers: list[nn.Module] = []
    before = in_channels
    for channels, convolutions in stages:
        for _ in range(convolutions):
            layers += [nn.Conv2d(before, channels, 3, padding=1), *normalized(channels)]
            before = channels
        layers.append(nn.MaxPool2d(2, ceil_mode=True))  # rounds up, so that a single pixel is kept
    return Classifier(nn.Sequential(*layers), before, num_classes)


_MOBILENET_STAGES = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],  # stride 2 on ImageNet
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]
"""Expansion, channels, number of blocks, stride of the first of them."""


def mobilenet_v2(num_classes: int, in_channels: int = 3) -> Classifier:
    """MobileNetV2 (Sandler et al., Table 2) of width 1, without dropout; stem and second stage keep the image size."""
    features = MobileNetV2(inverted_residual_setting=_MOBILENET_STAGES).features
    features[0][0] = convolution(in_channels, 32, 3)  # stride 2 on ImageNet
    return Classifier(features, 1280, num_classes)


BUILDERS: dict[str, Callable[[int, int], Classifier]] = {
    "resnet110": partial(resnet, 110),
    "resnet1202": partial(resnet, 1202),
    "densenet_bc_190_40": partial(densenet, 190, 40),
    "vgg19_bn": partial(vgg, ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))),
    "mobilenet_v2": mobilenet_v2,
}
"""Name -> (number of classes, channels of the images) -> network."""


def build(name: str, num_classes: int, in_channels: int = 3) -> Classifier:
    """Build a hand-designed network with new weights, for images of 16 pixels or more.

    Args:
        name: one of :data:`BUILDERS`; case does not matter.
        num_classes: number of classes.
        in_channels: channels of the images.

    Raises:
        ConfigError: the network is unknown, or a number is below 1.
    """
    if folded(name) not in BUILDERS:
        raise ConfigError(f"unknown network {name[:60]!r}{nearest(folded(name[:60]), BUILDERS)}")
    for what, size in (("num_classes", num_classes), ("in_channels", in_channels)):
        if size < 1:
            raise ConfigError(f"a network needs {what} of at least 1, not {size}")
    return BUILDERS[folded(name)](num_classes, in_channels)
