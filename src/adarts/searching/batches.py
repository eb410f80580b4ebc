"""Batches of images for the updates and measurements of a search."""

from __future__ import annotations

from functools import partial

import torch

from adarts.config.settings import SearchConfig
from adarts.data import Augmentation, Batches, ImageData, search_split
from adarts.searching.config import usual_layers


def with_fitting_batch(config: SearchConfig, data: ImageData, single_level: bool) -> SearchConfig:
    """Reduce a default batch size to the number of available images; a batch size set by the user stays as it is."""
    numbers = [len(part) for part in search_split(data.train, config.images, config.seed)]
    images = sum(numbers) if single_level else min(numbers)
    batch = config.search.batch_size
    if not 2 <= images < batch:
        return config
    if batch != usual_layers(config)["search"]["batch_size"]:
        return config
    return config.model_copy(update={"search": config.search.model_copy(update={"batch_size": images})})


def search_batches(
    config: SearchConfig, data: ImageData, single_level: bool, device: torch.device
) -> tuple[Batches, Batches, Batches]:
    """Batches for the weights, for the alphas, and for measuring the supernet.

    In a single-level search, all three use all training images. Otherwise the weights use one half, and the alphas and the
    measurements use the other half.
    """
    of_weights, of_alphas = search_split(data.train, config.images, config.seed)
    if single_level:
        of_weights = of_alphas = torch.cat((of_weights, of_alphas))
    batches = partial(Batches, data.train, seed=config.seed, device=device)
    size, augmentation = config.search.batch_size, Augmentation.of(config.images, data)
    # Whole batches keep shapes static, and batch normalization never sees a tiny batch.
    learned = partial(batches, batch_size=size, augmentation=augmentation, drop_last=True)
    # Shuffled in a fixed order. Folders are sorted by class, and batch statistics of a single class would spoil the measurement.
    measured = partial(batches, batch_size=2 * size, augmentation=Augmentation.plain(data), drop_last=False)
    return (
        learned(of_weights, purpose="weights"),
        learned(of_alphas, purpose="alphas"),
        measured(of_alphas, purpose="validation"),
    )
