"""Hand-designed networks in the forms that their CIFAR results come from: what found cells are compared with.

Their records, with papers, published figures and recipes, are in :mod:`adarts.zoo.baselines`.
"""

from __future__ import annotations

from adarts.config.settings import folded
from adarts.errors import ConfigError, nearest
from adarts.models.baselines.builders import BUILDERS
from adarts.models.baselines.parts import Classifier

__all__ = ["BUILDERS", "Classifier", "build"]


def build(name: str, num_classes: int, in_channels: int = 3) -> Classifier:
    """A hand-designed network with fresh weights, for images of any size from 16 pixels up.

    Args:
        name: one of :data:`BUILDERS`, whatever its case.
        num_classes: classes to tell apart.
        in_channels: channels of the images.

    Raises:
        ConfigError: there is no such network, or a number is below 1.
    """
    if folded(name) not in BUILDERS:
        raise ConfigError(f"unknown network {name[:60]!r}{nearest(folded(name[:60]), BUILDERS)}")
    for what, size in (("num_classes", num_classes), ("in_channels", in_channels)):
        if size < 1:
            raise ConfigError(f"a network needs {what} of at least 1, not {size}")
    return BUILDERS[folded(name)](num_classes, in_channels)
