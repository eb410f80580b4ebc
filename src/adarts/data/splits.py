"""Seeded, stratified splits of labeled images. All functions return ascending int64 indices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from adarts.config.settings import ImageSettings
from adarts.data.images import Images, digests
from adarts.errors import ConfigError
from adarts.seeding import generator


def search_split(images: Images, settings: ImageSettings, seed: int) -> tuple[Tensor, Tensor]:
    """Split the training images of a search according to `settings.split`.

    Returns:
        The indices for the weights, and the indices for the alphas.

    Raises:
        ConfigError: with a split by index, a class is missing from one half.
    """
    if settings.split == "index":
        first, second = torch.arange(len(images)).split([len(images) // 2, len(images) - len(images) // 2])
        if set(images.labels[first].tolist()) != set(images.labels[second].tolist()):
            raise ConfigError("a split by index would leave a class out of one half; use --images.split stratified")
        return first, second
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    odd = 0  # odd images go to the two halves alternately, so that the halves stay equal
    for members in _shuffled_classes(images.labels, seed, "split"):
        middle = (len(members) + (odd % 2 == 0)) // 2
        odd += len(members) % 2
        parts[0].append(members[:middle])
        parts[1].append(members[middle:])
    return _joined(parts[0]), _joined(parts[1])


def hold_out(images: Images, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Hold out a share of every class: at least one image per class, and never all of them; nothing if the share is 0.

    Equal images of a class stay on one side, unless the class has no others. If they do not fit into the share, others are held
    out instead, and fewer if there are none.

    Returns:
        The indices that stay, and the indices held out.
    """
    held = torch.zeros(len(images), dtype=torch.bool)
    if fraction > 0:
        looks = digests(images)
        for members in _shuffled_classes(images.labels, seed, "hold out"):
            count = min(max(round(fraction * len(members)), 1), len(members) - 1)
            held[_with_their_equals(members.tolist(), looks, count)] = True
    return (~held).nonzero().squeeze(1), held.nonzero().squeeze(1)


def _with_their_equals(members: list[int], looks: Sequence[bytes], count: int) -> list[int]:
    """At most `count` members, equal ones together; more if even the smallest group of equal ones is larger."""
    groups: dict[bytes, list[int]] = {}
    for member in members:
        groups.setdefault(looks[member], []).append(member)
    if len(groups) == 1:
        return members[:count]
    taken: list[int] = []
    for group in groups.values():
        if len(taken) + len(group) <= count:
            taken += group
    return taken or min(groups.values(), key=len)


def hold_out_by_content(labels: Tensor, digests: Sequence[bytes], fraction: float) -> tuple[Tensor, Tensor]:
    """Hold out a share of every class so that each image's own content decides: images added later move no other one.

    An image is held out if its digest, read as a number from 0 to 1, is below the share. So equal images stay together, and the
    share varies around `fraction` as in a random draw. A class of two or more keeps at least one image on each side.

    Args:
        labels: classes of the images.
        digests: sha256 of the images.
        fraction: the share, between 0 and 1.

    Returns:
        The indices that stay, and the indices held out.
    """
    places = torch.tensor([int.from_bytes(digest[:6]) / 2**48 for digest in digests], dtype=torch.float64)
    out = places < fraction
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        if len(members) > 1:
            by_place = members[places[members].argsort(stable=True)]
            out[by_place[0]], out[by_place[-1]] = True, False
    return (~out).nonzero().squeeze(1), out.nonzero().squeeze(1)


def subset(images: Images, per_class: int, seed: int) -> Tensor:
    """Indices of at most `per_class` images of each class."""
    return _joined([members[:per_class] for members in _shuffled_classes(images.labels, seed, "subset")])


def _shuffled_classes(labels: Tensor, seed: int, purpose: str) -> Iterator[Tensor]:
    """For every class, its indices in random order."""
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().squeeze(1)
        yield members[torch.randperm(len(members), generator=generator(seed, purpose, label))]


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts).sort().values
