"""A search and a training whose steps take a fraction of a second."""

from __future__ import annotations

import torch

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.data import load_images
from adarts.methods import create, published
from adarts.searching import SearchTask
from adarts.training.model import build, resolve_genotype
from adarts.training.task import TrainTask

CPU = torch.device("cpu")
TINY = {
    "supernet": {"channels": 8, "cells": 3},
    "images": {"per_class": 4, "size": 16},
}


def tiny_search(
    method: str = "adarts", device: torch.device = CPU, space: str = "darts", **changes: object
) -> SearchTask:
    layers: dict[str, dict[str, object]] = {name: dict(part) for name, part in published(method).items()}
    for name, part in {**TINY, "search": {"epochs": 4, "batch_size": 8, "warmup_epochs": 1}, **changes}.items():
        layers[name] = {**layers.get(name, {}), **part}  # type: ignore[dict-item]
    config = SearchConfig.model_validate({"method": method, "space": space, **layers})
    data = load_images("signs", config.images, config.seed)
    return SearchTask(config, data, create(config), device)


def tiny_training(device: torch.device = CPU, **run: object) -> TrainTask:
    config = TrainConfig.model_validate(
        {
            "network": {"channels": 8, "cells": 3, "drop_path": 0.5},
            "training": {"epochs": 4, "batch_size": 8},
            "images": {"per_class": 4, "size": 16},
            "run": run,
        }
    )
    data = load_images("signs", config.images, config.seed)
    genotype = resolve_genotype("random:1")
    network = build(genotype, data.num_classes, 8, 3, data.in_channels, auxiliary=True, seed=0)
    return TrainTask(config, data, network.to(device), device)
