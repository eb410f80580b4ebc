"""What all hand-designed networks have in common: a classifier on the mean of the last feature map, and fresh weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Features, their mean over the image, and one linear layer; so any size of images works.

    Convolutions begin as in He et al., Delving Deep into Rectifiers, eq. 14 (the form that keeps the variance of gradients),
    all biases with zero.

    Args:
        features: from images to the last feature map.
        channels: of the last feature map.
        num_classes: classes to tell apart.
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
        # The mean, not nn.AdaptiveAvgPool2d: that one's gradient is not the same every time on a GPU.
        logits: Tensor = self.classifier(self.feature_map(x_bchw).mean((2, 3)))
        return logits

    def feature_map(self, x_bchw: Tensor) -> Tensor:
        """What is averaged and classified."""
        features_bchw: Tensor = self.features(x_bchw.contiguous(memory_format=torch.channels_last))
        return features_bchw


def convolution(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size of the image, or halves it."""
    return nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)


def normalized(channels: int) -> list[nn.Module]:
    """Batch normalization and ReLU."""
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
