"""MobileNetV2: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, Table 2.

The layers are torchvision's, with the strides that CIFAR's small images need: the stem and the second stage do not halve them.
"""

from __future__ import annotations

from torchvision.models import MobileNetV2

from adarts.models.baselines.parts import Classifier, convolution

_STAGES = [
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
    """MobileNetV2 of width 1, without dropout."""
    features = MobileNetV2(inverted_residual_setting=_STAGES).features
    features[0][0] = convolution(in_channels, 32, 3)  # stride 2 on ImageNet
    return Classifier(features, 1280, num_classes)
