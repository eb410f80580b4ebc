"""ResNets for CIFAR: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, section 4.2.

Own code: torchvision's and timm's ResNets are those for ImageNet, with other stems, widths and shortcuts.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from adarts.errors import ConfigError
from adarts.models.baselines.parts import Classifier, convolution, normalized


class PaddedShortcut(nn.Module):
    """Option A of the paper: every second pixel, and zeros for the channels that are new. It has no parameters.

    Args:
        new_channels: how many channels are added.
    """

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.new_channels = new_channels

    def forward(self, x_bchw: Tensor) -> Tensor:
        """The smaller, deeper feature map."""
        return F.pad(x_bchw[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))


class Block(nn.Module):
    """Two 3x3 convolutions, and a shortcut around them.

    Args:
        in_channels: channels that enter.
        channels: channels that leave; with more of them, the image is halved.
    """

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
        """The block's output."""
        return F.relu(self.residual(x_bchw) + self.shortcut(x_bchw))


def resnet(depth: int, num_classes: int, in_channels: int = 3) -> Classifier:
    """The ResNet with ``depth`` = 6n + 2 layers: n blocks of 16, of 32 and of 64 channels.

    Raises:
        ConfigError: there is none of this depth.
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
