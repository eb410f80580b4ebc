"""Images that are nearly equal: the same photograph scaled, compressed or brightened anew, or the next one of a burst.

The package imagehash gives every image a perceptual hash of 64 bits; those of similar images differ in few bits. Of 530,965
pairs of different photographs of hand signs, 6 differ in at most 4 bits. So do all photographs from their copies as JPEG with
quality 50, and 97 % from copies that are moved by a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from adarts.data.images import ImageData, Images
from adarts.data.layout import counted

NEEDS = "near duplicates are looked for with imagehash: pip install 'adarts[near]'"
_BITS = 4
_ROWS = 1024  # images that are compared at once with all before them


@dataclass(frozen=True)
class Near:
    """An image and an earlier one that it nearly equals.

    Attributes:
        files: both.
        parts: their parts, ``train`` or ``test``.
        classes: their classes.
    """

    files: tuple[str, str]
    parts: tuple[str, str]
    classes: tuple[str, str]


def can_look() -> bool:
    """Whether imagehash is installed."""
    return find_spec("imagehash") is not None


def near_duplicates(data: ImageData) -> list[Near]:
    """Find the images that nearly equal an earlier one, training images first, each with the first such one.

    Pairs whose pixels are equal, :attr:`ImageData.duplicates`, are left out. The images are compared as a network sees them.

    Args:
        data: images of files.
    """
    parts = [("train", one) for one in range(len(data.train))] + [("test", one) for one in range(len(data.test))]
    held = {"train": data.train, "test": data.test}
    names = [held[part].names[one] for part, one in parts]
    classes = [data.classes[int(held[part].labels[one])] for part, one in parts]
    group = {name: number for number, equal in enumerate(data.duplicates) for name in equal}
    equal_n = torch.tensor([group.get(name, -1 - place) for place, name in enumerate(names)])
    signs_nb = torch.cat([_hashes(images) for images in held.values()]).float() * 2 - 1
    found = []
    for start in range(0, len(names), _ROWS):
        rows = slice(start, start + _ROWS)
        different_bits = (signs_nb.shape[1] - signs_nb[rows] @ signs_nb[: rows.stop].T) / 2
        near = (different_bits <= _BITS) & (equal_n[rows, None] != equal_n[None, : rows.stop])
        near = near.tril(start - 1)  # earlier images only
        for row in near.any(1).nonzero()[:, 0].tolist():
            one, first = start + row, int(near[row].int().argmax())
            pair = [(names[place], parts[place][0], classes[place]) for place in (one, first)]
            found.append(Near(*zip(*pair, strict=True)))
    return found


def remarks(found: Sequence[Near]) -> list[str]:
    """What to know about them, in words."""
    kinds = (
        ("nearly equal to an earlier one of the same part", [one for one in found if len(set(one.parts)) == 1]),
        ("of the test nearly equal to a training image", [one for one in found if len(set(one.parts)) == 2]),
        ("nearly equal to one of another class", [one for one in found if len(set(one.classes)) == 2]),
    )
    return [
        f"{counted(len(those), 'image')} {what}, such as {those[0].files[0]} to {those[0].files[1]}"
        for what, those in kinds
        if those
    ]


def _hashes(images: Images) -> Tensor:
    """The perceptual hash of each image, bool (n, 64)."""
    from imagehash import phash  # optional

    pictures = (Image.fromarray(one if one.shape[2] == 3 else one[..., 0]) for one in images.rows.numpy())
    return torch.from_numpy(np.stack([phash(picture).hash.ravel() for picture in pictures]))
