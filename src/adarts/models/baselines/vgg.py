"""VGG for CIFAR: the convolutions of Simonyan, Zisserman, Very Deep Convolutional Networks, with batch normalization.

Three linear layers follow them on ImageNet; on CIFAR it is one (as in github.com/bearpaw/pytorch-classification, whose results
are quoted). Own code: torchvision's has the three layers, and a last pool that needs 32 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from adarts.models.baselines.parts import Classifier, normalized

VGG19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Configuration E of the paper: (channels, convolutions) of each stage."""


def vgg(stages: Sequence[tuple[int, int]], num_classes: int, in_channels: int = 3) -> Classifier:
    """A VGG: stages of 3x3 convolutions with bias, each stage followed by a pool that halves the image."""
    layers: list[nn.Module] = []
    before = in_channels
    for channels, convolutions in stages:
        for _ in range(convolutions):
            layers += [nn.Conv2d(before, channels, 3, padding=1), *normalized(channels)]
            before = channels
        layers.append(nn.MaxPool2d(2, ceil_mode=True))  # rounded up, so that a single pixel stays one
    return Classifier(nn.Sequential(*layers), before, num_classes)
