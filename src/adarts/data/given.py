"""Images that people hand over as objects: a torch data set or arrays, read once into memory.

Augmentation and normalization are ours, and so that a run can be repeated, functions of the seed: images are wanted as they are
before both. What a data set draws in its own transforms is drawn once, when it is read.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset

from adarts.data.images import Images
from adarts.data.memory import require_memory
from adarts.data.source import Source
from adarts.errors import AdartsError, DataError
from adarts.source_file import in_one_line

Data = str | Dataset[Any] | tuple[Any, Any]
"""A name, a map-style data set of (image, label), a pair of arrays (images, labels), or a pair (train, test) of either."""

MOST_CHANNELS = 4
"""An axis of an image that is not longer is taken for that of the channels."""


def as_source(data: Any, name: str | None = None) -> Source:
    """Read images that somebody gives.

    Args:
        data: a map-style data set whose items are (image, label), or a pair of arrays (images, labels), from which a part is
            kept for the test; or a tuple (train, test) of two of these. An image is a PIL image, or an array (h, w, c),
            (c, h, w) or (h, w) of uint8, or of floats from 0 to 1; all have one size. Labels are whole numbers from 0.
        name: for file names and tables; by default that of the class.

    Raises:
        DataError: it is none of these; one line that says which image is wrong, and how.
    """
    parts = [data] if not isinstance(data, tuple) or (data and _is_array(data[0])) else list(data)
    if not 1 <= len(parts) <= 2:
        raise DataError(f"data: one data set, or a pair (train, test), not {len(parts)}")
    names = ["the training images", "the test images"] if len(parts) == 2 else ["the images"]
    train, *others = (_images(part, f"data, {where}") for part, where in zip(parts, names, strict=True))
    test = others[0] if others else None
    if test is not None and test.pixels.shape[1:] != train.pixels.shape[1:]:
        one, other = (_size(images.pixels[0]) for images in (train, test))
        raise DataError(f"data: the training images are {one} (channels x height x width), the test images {other}")
    count = 1 + int(max(images.labels.max() for images in (train, *others)))
    there = set(train.labels.tolist())
    if missing := [str(label) for label in range(min(count, 1000)) if label not in there]:
        raise DataError(
            f"data: no training image of class {', '.join(missing[:10])}; number the classes from 0 without a gap"
        )
    if count < 2:
        raise DataError("data: only one class; a classifier needs at least two")
    first = parts[0]
    name = name or ("arrays" if isinstance(first, tuple) else type(first).__name__)
    return Source(name, _classes(first, count), train, test)


def _images(part: Any, where: str) -> Images:
    if not isinstance(part, tuple):
        return _read(part, where)
    if len(part) != 2 or not _is_array(part[0]):
        raise DataError(f"{where}: a data set, or a pair of arrays (images, labels), not {_kind(part)}")
    labels = _tensor(part[1], f"{where}: the labels")
    if labels.dim() != 1 or labels.is_floating_point() or len(labels) != len(part[0]):
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise DataError(f"{where}: a whole number for each of {len(part[0])} images as label, not {found}")
    labels = labels.long()
    if not len(labels) or int(labels.min()) < 0:
        raise DataError(f"{where}: {'labels count from 0, and one is negative' if len(labels) else 'there are none'}")
    return Images(_pixels(part[0], where), labels)


def _read(dataset: Any, where: str) -> Images:
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")) or isinstance(dataset, dict):
        raise DataError(f"{where}: a map-style data set is needed, with len() and [index], not {_kind(dataset)}")
    count = len(dataset)
    if not count:
        raise DataError(f"{where}: the data set is empty")
    pixels, labels = torch.empty(0), torch.empty(count, dtype=torch.long)
    for index in range(count):
        here = f"{where}: item {index}"
        image, label = _item(dataset, index, here)
        if index == 0:
            require_memory(count, max(image.shape[1:]))
            pixels = torch.empty((count, *image.shape), dtype=torch.uint8)
        if image.shape != pixels.shape[1:]:
            first = _size(pixels[0])
            raise DataError(
                f"{here} is {_size(image)} (channels x height x width), item 0 {first}; resize them in the data set"
            )
        pixels[index], labels[index] = image, label
    return Images(pixels, labels)


def _item(dataset: Any, index: int, here: str) -> tuple[Tensor, int]:
    try:
        item = dataset[index]
    except AdartsError:
        raise
    except Exception as error:  # somebody else's code may raise whatever it likes
        raise DataError(f"{here} cannot be read: {in_one_line(error)}") from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(f"{here} must be (image, label), not {_kind(item)}; two data sets are a tuple (train, test)")
    image, label = item
    try:
        label = operator.index(label)
    except TypeError:
        label = -1
    if label < 0:
        raise DataError(f"{here} has the label {item[1]!r:.60}; a whole number from 0 is needed")
    if isinstance(image, Image):
        image = np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    if not _is_array(image):
        raise DataError(f"{here}: an image is a PIL image or an array, not {_kind(image)}")
    return _pixels(image[None], here)[0], label


def _pixels(images: Any, where: str) -> Tensor:
    """The images as bytes (n, c, h, w)."""
    torch_first = isinstance(images, Tensor)
    x = _tensor(images, f"{where}: the pixels")
    if x.dim() == 3:
        x = x[:, None]
    elif x.dim() == 4:
        axes = [axis for axis in ((1, 3) if torch_first else (3, 1)) if x.shape[axis] <= MOST_CHANNELS]
        if not axes:
            raise DataError(f"{where}: no axis of {tuple(x.shape[1:])} holds the channels, {MOST_CHANNELS} at most")
        x = x.movedim(axes[0], 1)
    else:
        raise DataError(f"{where}: an image has 2 or 3 axes, not {x.dim() - 1}")
    if 0 in x.shape[2:]:
        raise DataError(f"{where}: an image of {x.shape[2]} x {x.shape[3]} pixels shows nothing")
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise DataError(f"{where}: pixels are uint8, or floats from 0 to 1, not {x.dtype}")
    low, high = x.aminmax()
    if not (low >= 0 and high <= 1):
        needed = "give uint8, or floats from 0 to 1, without normalization, which adarts does itself"
        raise DataError(f"{where}: values from {float(low):.3g} to {float(high):.3g}; {needed}")
    return (x * 255).round().to(torch.uint8)


def _tensor(values: Any, what: str) -> Tensor:
    """Numbers as a tensor on the CPU; numpy's negative strides, as of a BGR image turned to RGB, are made positive."""
    try:
        return torch.as_tensor(values if isinstance(values, Tensor) else np.ascontiguousarray(values)).detach().cpu()
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} are no numbers: {in_one_line(error)}") from error


def _classes(part: Any, count: int) -> tuple[str, ...]:
    """The names that the data set, or the one that it is a part of, gives to its classes; else their numbers."""
    for owner in (part, getattr(part, "dataset", None)):
        names = getattr(owner, "classes", None)
        if isinstance(names, Sequence) and len(names) >= count:
            return tuple(map(str, names[:count]))
    return tuple(map(str, range(count)))


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | Tensor)


def _size(image: Tensor) -> str:
    return " x ".join(map(str, image.shape))


def _kind(value: object) -> str:
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, tuple | list) else "")
