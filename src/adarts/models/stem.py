"""The stem: the first convolutions of a network or supernet, which make large images smaller before the cells read them."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from adarts.errors import ConfigError
from adarts.models.operations import BatchNorm2d

STRIDES = 1, 2, 4, 8
"""The strides that a stem may have."""
WHOLE = 64
"""Largest side of an image that cells read at its full size."""
SMALL = 32
"""Largest side of what cells read of a larger image, as far as the strides go."""


def stride_for(image_size: tuple[int, int]) -> int:
    """The stride of the stem for images of (height, width): 1 up to 64 pixels, else the smallest that leaves at most 32.

    The ImageNet network of DARTS has a stride of 8, from 224 to 28 pixels.
    """
    side = max(image_size)
    return 1 if side <= WHOLE else next((stride for stride in STRIDES if side <= stride * SMALL), STRIDES[-1])


def after_stem(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """The (height, width) of what the cells read of an image, after a stem of this stride."""
    height, width = image_size
    return -(-height // stride), -(-width // stride)


def strided(stride: int) -> str:
    """Words on a stem for a description of a network; none for a stride of 1."""
    return f", a stem of stride {stride}" if stride > 1 else ""


def stem(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Build a stem of 3x3 convolutions with batch normalization; each one halves the image, unless the stride is 1.

    With a stride of 8 it has the layers of DARTS's ImageNet network. There the first cell reads the image after two and after
    three of them; here it reads the last one twice.

    Args:
        in_channels: channels of the images.
        out_channels: channels that the cells read; the first of several convolutions has half of them.
        stride: 1, 2, 4 or 8.

    Raises:
        ConfigError: another stride.
    """
    if stride not in STRIDES:
        raise ConfigError(f"the stride of a stem is {', '.join(map(str, STRIDES))}, not {stride}")
    first, last = [in_channels], [out_channels]
    between = {4: [max(out_channels // 2, 1)], 8: [max(out_channels // 2, 1), out_channels]}.get(stride, [])
    layers: list[tuple[str, nn.Module]] = []
    for index, (read, written) in enumerate(zip(first + between, between + last, strict=True)):
        number = "" if index == len(between) else str(index)  # the last one has the names of a stem of one convolution
        convolution = nn.Conv2d(read, written, 3, min(stride, 2), padding=1, bias=False)
        layers += [(f"conv{number}", convolution), (f"norm{number}", BatchNorm2d(written))]
        if number:
            layers.append((f"relu{number}", nn.ReLU()))
    return nn.Sequential(OrderedDict(layers))
