"""Which images each update of a search learns from, batch by batch."""

from __future__ import annotations

from functools import partial

import torch

from adarts.config.settings import SearchConfig
from adarts.data import Augmentation, Batches, ImageData, search_split
from adarts.searching.config import search_layers


def with_fitting_batch(config: SearchConfig, data: ImageData, single_level: bool) -> SearchConfig:
    """The search with a batch for which there are images, where the batch is that of its scale or method, not somebody's own."""
    numbers = [len(part) for part in search_split(data.train, config.images, config.seed)]
    images = sum(numbers) if single_level else min(numbers)
    batch = config.search.batch_size
    if not 2 <= images < batch:
        return config
    usual = search_layers({name: getattr(config, name) for name in ("data", "method", "scale", "space")})
    if batch != usual["search"]["batch_size"]:
        return config
    return config.model_copy(update={"search": config.search.model_copy(update={"batch_size": images})})


def search_batches(
    config: SearchConfig, data: ImageData, single_level: bool, device: torch.device
) -> tuple[Batches, Batches, Batches]:
    """The batches of the weights, those of the alphas, and those that the supernet is measured on.

    In a search of a single level, weights and alphas learn from the same images, all of them; otherwise from a half each, and the
    supernet is measured on that of the alphas.
    """
    of_weights, of_alphas = search_split(data.train, config.images, config.seed)
    if single_level:
        of_weights = of_alphas = torch.cat((of_weights, of_alphas))
    batches = partial(Batches, data.train, seed=config.seed, device=device)
    size, augmentation = config.search.batch_size, Augmentation.of(config.images, data)
    # Whole batches only: static shapes, and no tiny batch for the normalization.
    learned = partial(batches, batch_size=size, augmentation=augmentation, drop_last=True)
    # Shuffled, always in the same order: a folder's own is by class, and a batch of one class normalizes itself away.
    measured = partial(batches, batch_size=2 * size, augmentation=Augmentation.plain(data), drop_last=False)
    return (
        learned(of_weights, purpose="weights"),
        learned(of_alphas, purpose="alphas"),
        measured(of_alphas, purpose="validation"),
    )
