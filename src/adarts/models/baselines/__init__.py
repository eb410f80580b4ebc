"""Hand-designed networks in the forms that their CIFAR results come from: what found cells are compared with.

The records are plain data, so that a configuration can be put together without torch; the networks are imported when one is
built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adarts.errors import ConfigError
from adarts.models.baselines.catalog import BASELINES, Baseline, get_baseline

if TYPE_CHECKING:
    from adarts.models.baselines.parts import Classifier

__all__ = ["BASELINES", "Baseline", "build", "get_baseline"]


def build(name: str, num_classes: int, in_channels: int = 3) -> Classifier:
    """A hand-designed network with fresh weights, for images of any size from 16 pixels up.

    Args:
        name: one of :data:`BASELINES`, whatever its case.
        num_classes: classes to tell apart.
        in_channels: channels of the images.

    Raises:
        ConfigError: there is no such network, or a number is below 1.
    """
    known = get_baseline(name).name
    for what, size in (("num_classes", num_classes), ("in_channels", in_channels)):
        if size < 1:
            raise ConfigError(f"a network needs {what} of at least 1, not {size}")
    from adarts.models.baselines.builders import BUILDERS

    return BUILDERS[known](num_classes, in_channels)
