"""Seeded, stratified splits of labeled images. All return ascending int64 indices."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from adarts.config.settings import ImageSettings
from adarts.data.images import Images
from adarts.errors import ConfigError
from adarts.seeding import generator


def search_split(images: Images, settings: ImageSettings, seed: int) -> tuple[Tensor, Tensor]:
    """Split the training images of a search, as `settings.split` says.

    Returns:
        The indices that the weights learn from, and those that the alphas learn from.

    Raises:
        ConfigError: if halves by index leave a class out of one half.
    """
    if settings.split == "index":
        first, second = torch.arange(len(images)).split([len(images) // 2, len(images) - len(images) // 2])
        if set(images.labels[first].tolist()) != set(images.labels[second].tolist()):
            raise ConfigError("halves by index would leave a class out of one half; use --images.split stratified")
        return first, second
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    odd = 0  # the odd image of a class goes to either half in turn, so that the halves stay equal
    for members in _shuffled_classes(images.labels, seed, "split"):
        middle = (len(members) + (odd % 2 == 0)) // 2
        odd += len(members) % 2
        parts[0].append(members[:middle])
        parts[1].append(members[middle:])
    return _joined(parts[0]), _joined(parts[1])


def hold_out(images: Images, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Keep a share of every class apart, if it is above 0: at least one image and never all, as far as a class has two.

    Returns:
        The indices that stay, and those that are held out.
    """
    stay, out = [], []
    for members in _shuffled_classes(images.labels, seed, "hold out"):
        count = round(fraction * len(members))
        if fraction > 0:
            count = min(max(count, 1), len(members) - 1)
        out.append(members[:count])
        stay.append(members[count:])
    return _joined(stay), _joined(out)


def subset(images: Images, per_class: int, seed: int) -> Tensor:
    """Indices of at most so many images of each class."""
    return _joined([members[:per_class] for members in _shuffled_classes(images.labels, seed, "subset")])


def _shuffled_classes(labels: Tensor, seed: int, purpose: str) -> Iterator[Tensor]:
    """The indices of every class in turn, each in a random order of its own."""
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().squeeze(1)
        yield members[torch.randperm(len(members), generator=generator(seed, purpose, label))]


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts).sort().values
