"""Which depth and width every hand-designed network has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from adarts.models.baselines.densenet import densenet
from adarts.models.baselines.mobilenet_v2 import mobilenet_v2
from adarts.models.baselines.parts import Classifier
from adarts.models.baselines.resnet import resnet
from adarts.models.baselines.vgg import VGG19, vgg

BUILDERS: dict[str, Callable[[int, int], Classifier]] = {
    "resnet110": partial(resnet, 110),
    "resnet1202": partial(resnet, 1202),
    "densenet_bc_190_40": partial(densenet, 190, 40),
    "vgg19_bn": partial(vgg, VGG19),
    "mobilenet_v2": mobilenet_v2,
}
"""Name -> (number of classes, channels of the images) -> network."""
