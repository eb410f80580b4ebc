"""How networks are trained where they come from: what lies below the scale in the configuration of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from adarts.models.baselines import get_baseline
from adarts.training.model import resolve_genotype

Layer = Mapping[str, Mapping[str, Any]]

OF_SPACES: Mapping[str, Layer] = {
    # Dong, Yang: NAS-Bench-201, ICLR 2020, section 2: so were the accuracies measured that are known of this space.
    "nasbench201": {
        "network": {"channels": 16, "cells": 15, "drop_path": 0.0, "auxiliary_weight": 0.0},
        "training": {"epochs": 200, "batch_size": 256},
        "weights": {"learning_rate": 0.1, "nesterov": True, "weight_decay": 5e-4, "clip": math.inf},
        "images": {"crop_padding": 4, "flip": True, "cutout": 0},
    },
}
"""The cells of all other spaces are trained as DARTS's are, which is what the defaults say."""


def recipe(genotype: str | None, network: str | None) -> tuple[str | None, Layer]:
    """The space of what is trained, and the published recipe of its training.

    Args:
        genotype: what :func:`adarts.training.model.resolve_genotype` reads.
        network: name of a hand-designed network, which belongs to no space.

    Raises:
        ConfigError: there is no such network.
        DataError: the genotype cannot be read.
    """
    if network is not None or genotype is None:
        return None, {} if network is None else get_baseline(network).recipe
    space = resolve_genotype(genotype).space
    return space, OF_SPACES.get(space, {})
