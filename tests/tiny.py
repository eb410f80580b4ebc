"""A search and a training whose steps take a fraction of a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from adarts.config.settings import TrainConfig
from adarts.data import load_images
from adarts.methods import get_method
from adarts.searching import SearchTask
from adarts.testing import CPU, small_search
from adarts.training.model import build, resolve_genotype
from adarts.training.task import TrainTask


def tiny_search(method: str = "adarts", device: torch.device = CPU, **changes: Any) -> SearchTask:
    return small_search(get_method(method), {"search": {"epochs": 4}}, changes, device=device)


def tiny_training(device: torch.device = CPU, training: Mapping[str, object] | None = None, **run: object) -> TrainTask:
    config = TrainConfig.model_validate(
        {
            "network": {"channels": 8, "cells": 3, "drop_path": 0.5},
            "training": {"epochs": 4, "batch_size": 8, **(training or {})},
            "images": {"per_class": 4, "size": 16},
            "run": run,
        }
    )
    data = load_images("digits", config.images, config.seed)
    genotype = resolve_genotype("random:1")
    network = build(genotype, data.num_classes, 8, 3, data.in_channels, auxiliary=True, seed=0)
    return TrainTask(config, data, network.to(device), device)
