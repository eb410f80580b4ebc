"""Small searches for tests of methods, and helpers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from adarts.config.loading import merged
from adarts.config.settings import ImageSettings, SearchConfig
from adarts.data import ImageData, Images, load_images
from adarts.methods import Method, Purpose
from adarts.methods.registry import published_by
from adarts.searching import SearchTask

CPU = torch.device("cpu")
SMALL: Mapping[str, Any] = {
    "supernet": {"channels": 8, "cells": 3},
    "search": {"epochs": 2, "batch_size": 8, "warmup_epochs": 1},
    "images": {"per_class": 4, "size": 16},
}
"""The budget of every search here."""
SMALL_OPTIONS: Mapping[str, Any] = {"cells": 3, "images": 8, "population": 2, "samples": 2, "first": 2}
"""The same for the options of methods that score single cells, as far as they have them."""


@dataclass(frozen=True)
class Epoch:
    """An epoch of a search: whether the warm-up was over, and whether any alpha changed."""

    past_warmup: bool
    moved: bool


def small_search(method: type[Method], *changes: Mapping[str, Any], device: torch.device = CPU) -> SearchTask:
    """A search of a few seconds with the published hyper-parameters of a method.

    Args:
        method: the method; it need not be registered.
        changes: changes of the configuration by section; later ones override earlier ones.
        device: device of the search.
    """
    own = {} if method.info.family == "gradient" else method.Options.model_fields
    few = {name: value for name, value in SMALL_OPTIONS.items() if name in own}
    asked = merged({"method": method.info.name, "space": "darts", "options": few}, SMALL, *changes)
    config = SearchConfig.model_validate(merged(published_by(method, asked["space"]), asked))
    options = method.Options.model_validate(config.options)
    return SearchTask(config, _images(config.images, config.seed), method(options), device)


def at(search: SearchTask, epoch: int, step: int = 0) -> SearchTask:
    """Move a search to the start of a step."""
    search.supernet.train()
    search.go_to(epoch, step)
    return search


def carry_out(search: SearchTask) -> list[Epoch]:
    """Run a search to its end."""
    epochs: list[Epoch] = []
    while len(epochs) < search.epochs:  # a method may stop early
        number, alphas = len(epochs), search.supernet.alpha_parameters()
        before = snapshot(alphas)
        totals: dict[str, float] = {}
        for step in range(search.steps(number)):
            add(totals, search.step(number, step))
        epochs.append(Epoch(search.progress.past_warmup, any(moved(before, alphas))))
        search.end_epoch(number, totals)
    return epochs


def snapshot(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Copies of the tensors."""
    return [tensor.detach().clone() for tensor in tensors]


def moved(before: Iterable[Tensor], tensors: Iterable[Tensor]) -> list[bool]:
    """For each tensor, whether it differs from its snapshot."""
    return [not torch.equal(old, now) for old, now in zip(before, tensors, strict=True)]


def assert_equal_states(one: Any, other: Any, where: str = "state") -> None:
    """Assert that two states of a search are equal to the last bit; otherwise the error says where they differ."""
    if isinstance(one, Tensor):
        assert isinstance(other, Tensor) and torch.equal(one, other), where
    elif isinstance(one, Mapping):
        assert set(one) == set(other), where
        for key, value in one.items():
            if key == "param_groups":  # settings of the optimizer; the learning rate is set in every update
                continue
            assert_equal_states(value, other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal_states(a, b, f"{where}[{index}]")
    else:
        assert one == other, where


def update_alphas(search: SearchTask) -> None:
    """Run the update of the alphas."""
    search.update("both" if search.method.single_level else "alphas")


def gradient(parameters: Iterable[Tensor]) -> Tensor:
    """The gradient of all parameters as one vector; 0 for parameters without one."""
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])


def gradients(search: SearchTask) -> dict[Purpose, Tensor]:
    """The gradients of an update of the alphas, and of an update of the weights with the same alphas."""
    weights, alphas = search.supernet.weight_parameters(), search.supernet.alpha_parameters()
    before = snapshot(alphas)
    torch.manual_seed(0)
    at(search, 1).update("alphas")
    of_alphas = gradient(alphas)
    with torch.no_grad():
        for tensor, old in zip(alphas, before, strict=True):
            tensor.copy_(old)
    at(search, 1).update("weights")
    return {"alphas": of_alphas, "weights": gradient(weights)}


def with_negatives(search: SearchTask, indices: Tensor) -> SearchTask:
    """A new search with the same settings, in which some training images are replaced by their negatives."""
    train = search.data.train
    pixels = train.pixels.clone()
    pixels[indices] = 255 - pixels[indices]
    data = replace(search.data, train=Images(pixels, train.labels))
    return SearchTask(search.config, data, type(search.method)(search.method.options), search.device)


def add(totals: dict[str, float], sums: Mapping[str, Tensor | float]) -> None:
    for name, value in sums.items():
        totals[name] = totals.get(name, 0.0) + float(value)


@cache
def _images(settings: ImageSettings, seed: int) -> ImageData:
    return load_images("digits", settings, seed)
