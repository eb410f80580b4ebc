"""Read images given as objects, a torch data set or arrays, once into memory.

adarts augments and normalizes the images itself, as a function of the seed, so that runs can be repeated. Give images without
augmentation and normalization. Random transforms of a data set are applied once, when it is read.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset

from adarts.data.decode import GRAY_MODES, Unreadable, fitted, to_rgb
from adarts.data.folder import DEFAULT_SIZE
from adarts.data.images import Images
from adarts.data.layout import part_of, use_of
from adarts.data.memory import require_memory
from adarts.data.source import Source
from adarts.errors import AdartsError, DataError
from adarts.source_file import in_one_line

Data = str | Dataset[Any] | tuple[Any, Any] | Mapping[str, Any]
"""A name, a map-style data set of (image, label), a pair of arrays (images, labels), a pair (train, test) of either, or a mapping
of the names of parts to data sets, as Hugging Face's ``DatasetDict``."""

_IMAGE, _LABEL = ("image", "img"), ("label", "labels", "fine_label")  # columns of Hugging Face's data sets

_MIXED = "some images are gray and read as RGB"

MOST_CHANNELS = 4
"""An axis of an image up to this length can be the channel axis."""


def as_source(data: Any, name: str | None = None) -> Source:
    """Read a data set or arrays.

    Args:
        data: a map-style data set with items (image, label) or, as Hugging Face's, mappings with an image and a label; a pair of
            arrays (images, labels); a tuple (train, test) of two of these; or a mapping of parts (train, validation, test) to
            them. Without test images, a share of the images becomes the test set. An image is a PIL image, or an array
            (h, w, c), (c, h, w) or (h, w) of uint8, or of floats from 0 to 1. Arrays have one size; PIL images of different
            sizes are center-cropped and scaled. Labels are whole numbers from 0.
        name: name for files and tables; the class name by default.

    Raises:
        DataError: the data have another form; the message says which image is wrong and why.
    """
    notes: list[str] = []
    parts = _mapped(data, notes) if isinstance(data, Mapping) else _paired(data)
    places = ["the training images", "the test images"] if len(parts) == 2 else ["the images"]

    def read(size: int | None = None) -> list[Images]:
        found = [
            [_images(one, f"data, {where}", notes, size) for one in part]
            for part, where in zip(parts, places, strict=True)
        ]
        return [_joined(part) for part in _alike(found, notes)]

    try:
        train, *others = read()
    except _DifferentSizes:
        train, *others = read(DEFAULT_SIZE)
        notes.append(f"images of different sizes scaled and center-cropped to {DEFAULT_SIZE}x{DEFAULT_SIZE}")
    test = others[0] if others else None
    if test is not None and test.pixels.shape[1:] != train.pixels.shape[1:]:
        one, other = (_size(images.pixels[0]) for images in (train, test))
        raise DataError(f"data: the training images are {one} (channels x height x width), the test images {other}")
    count = 1 + int(max(images.labels.max() for images in (train, *others)))
    there = set(train.labels.tolist())
    if missing := [str(label) for label in range(min(count, 1000)) if label not in there]:
        raise DataError(
            f"data: no training image of class {', '.join(missing[:10])}; number the classes from 0 without gaps"
        )
    if count < 2:
        raise DataError("data: only one class; a classifier needs at least two classes")
    first = parts[0][0]
    name = name or ("arrays" if isinstance(first, tuple) else type(first).__name__)
    return Source(name, _classes(first, count), train, test, tuple(dict.fromkeys(notes)))


class _DifferentSizes(Exception):
    """PIL images of different sizes, which can be scaled."""


def _paired(data: Any) -> list[list[Any]]:
    """The training and the test images, or the images."""
    parts = [data] if not isinstance(data, tuple) or (data and _is_array(data[0])) else list(data)
    if not 1 <= len(parts) <= 2:
        raise DataError(f"data must be one data set, or a pair (train, test), not {len(parts)}")
    return [[part] for part in parts]


def _mapped(data: Mapping[str, Any], notes: list[str]) -> list[list[Any]]:
    """The same for named parts; validation images are used as those of a folder are."""
    names: dict[str, str] = {}
    for name in data:
        part = part_of(str(name))
        if part is None or part in names:
            notes.append(f"passed over the part {name!r:.60}")
        else:
            names[part] = name
    if not names:
        raise DataError(f"data: no part is called train, validation or test: {', '.join(map(str, data))}")
    use, more = use_of({part: repr(name) for part, name in names.items()}, "train", "data")
    notes += more
    found: dict[str, list[Any]] = {}
    for part in ("train", "val", "test"):
        if part in names:
            found.setdefault(str(use[part]), []).append(data[names[part]])
    return list(found.values())


def _alike(parts: list[list[Images]], notes: list[str]) -> list[list[Images]]:
    """The data sets as RGB if some are gray and some RGB."""
    if {images.pixels.shape[1] for part in parts for images in part} != {1, 3}:
        return parts
    notes.append(_MIXED)
    return [[images.recolored(3) if images.pixels.shape[1] == 1 else images for images in part] for part in parts]


def _joined(parts: list[Images]) -> Images:
    if len(parts) == 1:
        return parts[0]
    if len({images.pixels.shape[1:] for images in parts}) > 1:
        raise DataError(
            f"data: the parts have images of different sizes: {', '.join(_size(i.pixels[0]) for i in parts)}"
        )
    return Images(torch.cat([images.pixels for images in parts]), torch.cat([images.labels for images in parts]))


def _images(part: Any, where: str, notes: list[str], size: int | None) -> Images:
    """Read one data set or pair of arrays; with a size, PIL images are scaled to it."""
    if not isinstance(part, tuple):
        return _read(part, where, notes, size)
    if len(part) != 2 or not _is_array(part[0]):
        raise DataError(f"{where} must be a data set, or a pair of arrays (images, labels), not {_kind(part)}")
    labels = _tensor(part[1], f"{where}: the labels")
    if labels.dim() != 1 or labels.is_floating_point() or len(labels) != len(part[0]):
        found = f"{labels.dtype} {tuple(labels.shape)}"
        raise DataError(f"{where}: the labels must be one whole number for each of {len(part[0])} images, not {found}")
    labels = labels.long()
    if not len(labels) or int(labels.min()) < 0:
        raise DataError(f"{where}: {'a label is negative; labels start at 0' if len(labels) else 'there are none'}")
    return Images(_pixels(part[0], where), labels)


def _read(dataset: Any, where: str, notes: list[str], size: int | None) -> Images:
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")) or isinstance(dataset, dict):
        raise DataError(f"{where} must be a map-style data set with len() and [index], not {_kind(dataset)}")
    count = len(dataset)
    if not count:
        raise DataError(f"{where}: the data set is empty")
    pixels, labels = torch.empty(0), torch.empty(count, dtype=torch.long)
    for index in range(count):
        here = f"{where}: item {index}"
        image, label, is_pil = _item(dataset, index, here, size)
        if index == 0:
            require_memory(count, max(image.shape[1:]), len(image))
            pixels = torch.empty((count, *image.shape), dtype=torch.uint8)
        if is_pil and {len(image), pixels.shape[1]} == {1, 3}:
            notes.append(_MIXED)
            pixels, image = (x if x.shape[-3] == 3 else x.repeat_interleave(3, -3) for x in (pixels, image))
        if image.shape != pixels.shape[1:]:
            if is_pil and size is None:
                raise _DifferentSizes
            first = _size(pixels[0])
            raise DataError(
                f"{here} is {_size(image)} (channels x height x width), but item 0 is {first}; resize them in the data set"
            )
        pixels[index], labels[index] = image, label
    return Images(pixels, labels)


def _item(dataset: Any, index: int, here: str, size: int | None) -> tuple[Tensor, int, bool]:
    """Pixels (c, h, w) and label of an item, and whether its image is a PIL image."""
    try:
        item = dataset[index]
    except AdartsError:
        raise
    except Exception as error:  # user code may raise anything
        raise DataError(f"{here} cannot be read: {in_one_line(error)}") from error
    if isinstance(item, Mapping):
        item = item[_column(item, _IMAGE, here)], item[_column(item, _LABEL, here)]
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(
            f"{here} must be (image, label), not {_kind(item)}; give two data sets as a tuple (train, test)"
        )
    image, label = item
    try:
        label = operator.index(label)
    except TypeError:
        label = -1
    if label < 0:
        hint = "; for Hugging Face's data sets use class_encode_column" if isinstance(item[1], str) else ""
        raise DataError(f"{here} has the label {item[1]!r:.60}; labels must be whole numbers from 0{hint}")
    if is_pil := isinstance(image, Image):
        channels, (width, height) = 1 if image.mode in GRAY_MODES else 3, image.size
        try:
            image = np.array(fitted(to_rgb(image), (height, width) if size is None else (size, size), channels))
        except Unreadable as error:
            raise DataError(f"{here}: {error}") from error
    if not _is_array(image):
        raise DataError(f"{here}: an image must be a PIL image or an array, not {_kind(image)}")
    return _pixels(image[None], here)[0], label, is_pil


def _column(item: Mapping[str, Any], known: Sequence[str], here: str) -> str:
    """The key of an item's image or label."""
    found = next((name for name in known if name in item), None)
    if found is None:
        raise DataError(
            f"{here} has none of the columns {', '.join(known)}; it has {', '.join(map(str, item))}; rename them"
        )
    return found


def _pixels(images: Any, where: str) -> Tensor:
    """Convert images to uint8 (n, c, h, w)."""
    torch_first = isinstance(images, Tensor)
    x = _tensor(images, f"{where}: the pixels")
    if x.dim() == 3:
        x = x[:, None]
    elif x.dim() == 4:
        axes = [axis for axis in ((1, 3) if torch_first else (3, 1)) if x.shape[axis] <= MOST_CHANNELS]
        if not axes:
            raise DataError(f"{where}: no axis of {tuple(x.shape[1:])} can be the channels, at most {MOST_CHANNELS}")
        x = x.movedim(axes[0], 1)
    else:
        raise DataError(f"{where}: an image must have 2 or 3 axes, not {x.dim() - 1}")
    if 0 in x.shape[2:]:
        raise DataError(f"{where}: an image of {x.shape[2]} x {x.shape[3]} pixels is empty")
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise DataError(f"{where}: pixels must be uint8, or floats from 0 to 1, not {x.dtype}")
    low, high = x.aminmax()
    if not (low >= 0 and high <= 1):
        needed = "give uint8, or floats from 0 to 1; do not normalize, because adarts does"
        raise DataError(f"{where}: values from {float(low):.3g} to {float(high):.3g}; {needed}")
    return (x * 255).round().to(torch.uint8)


def _tensor(values: Any, what: str) -> Tensor:
    """Convert numbers to a CPU tensor; copies arrays with negative strides, such as BGR images reversed to RGB."""
    try:
        return torch.as_tensor(values if isinstance(values, Tensor) else np.ascontiguousarray(values)).detach().cpu()
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must be numbers: {in_one_line(error)}") from error


def _classes(part: Any, count: int) -> tuple[str, ...]:
    """Class names from the attribute `classes` of the data set, or of the data set it is a subset of; else numbers."""
    for owner in (part, getattr(part, "dataset", None)):
        features = getattr(owner, "features", None)
        described = [features[name] for name in _LABEL if name in features] if isinstance(features, Mapping) else []
        names = getattr(described[0], "names", None) if described else getattr(owner, "classes", None)
        if isinstance(names, Sequence) and len(names) >= count:
            return tuple(map(str, names[:count]))
    return tuple(map(str, range(count)))


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | Tensor)


def _size(image: Tensor) -> str:
    return " x ".join(map(str, image.shape))


def _kind(value: object) -> str:
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, tuple | list) else "")
