"""Load a data set by name or from given images, as an :class:`ImageData`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from adarts.config.settings import ImageSettings
from adarts.config.values import names_code
from adarts.data.digits import load_digits
from adarts.data.folder import load_folder
from adarts.data.given import as_source
from adarts.data.images import ImageData, Images, digests, shared_images, statistics
from adarts.data.memory import require_memory
from adarts.data.named import CIFAR, load_cifar
from adarts.data.source import Source
from adarts.data.splits import hold_out_by_content, subset
from adarts.errors import AdartsError, ConfigError, DataError
from adarts.registry import Registry
from adarts.source_file import in_one_line

Loader = Callable[..., Any]
"""(image settings[, text after the colon of the name]) -> a Source, or an input of :func:`as_source`."""

_UNEQUAL = 10  # times as many images in the largest class as in the smallest are worth a note


def _check(loader: object) -> None:
    if not callable(loader):
        raise TypeError(f"{loader!r:.60} is not a function that loads images")


DATA: Registry[Loader] = Registry("data set", "adarts.data", _check)


_IMAGES: dict[str, Mapping[str, Any]] = {}
"""Image settings of registered data sets, by name."""


def register_data(name: str, loader: Loader, images: Mapping[str, Any] | None = None) -> None:
    """Register a data set under a name, for ``--data NAME``.

    Args:
        name: without a colon.
        loader: called with the image settings (:class:`adarts.config.settings.ImageSettings`); returns a map-style data set,
            a pair of arrays, or a pair (train, test) of either. Size, share of the test set and number of images are applied
            afterwards. An optional second argument receives TEXT from ``--data NAME:TEXT``.
        images: image settings that suit the data set, such as ``{"flip": False}`` for digits or text. They replace those of the
            scale and the method; options and configuration files replace them.

    Raises:
        ValueError: the name is taken or has a colon.
        TypeError: the loader is not callable.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"a data set needs a name such as 'cifar10', not {name!r:.60}")
    DATA.add(name, loader)
    _IMAGES[name] = dict(images or {})


def settings_of(data: str) -> dict[str, Any]:
    """The image settings registered with a data set, as a section ``images``, which may be empty."""
    name = data.split(":", 1)[0]
    if name not in _IMAGES:
        with suppress(AdartsError):  # whoever loads the images says what is wrong
            if not names_code(data):
                DATA.get(name)  # a package that offers the data set registers it, with its settings, when it is loaded
    return {"images": dict(_IMAGES.get(name, {}))}


def load_images(source: str | Source, settings: ImageSettings, seed: int) -> ImageData:
    """Load a data set into memory.

    Args:
        source: a registered name, ``folder:PATH``, a loader in a file, ``path/to/file.py:NAME``; or images read by
            :func:`as_source`.
        settings: size, reduction, share of the test set, and folder of named sets.
        seed: selects the training images that `per_class` keeps.

    Raises:
        ConfigError: the source is unknown.
        DataError: the images are missing or unusable.
    """
    found = source if isinstance(source, Source) else read_source(source, settings)
    train, test, notes = found.train, found.test, list(found.notes)
    if test is None:
        own = found.digests or digests(train)
        stay, out = hold_out_by_content(train.labels, own, settings.test_fraction)
        train, test = train.select(stay), train.select(out)
        notes.append(
            f"{len(test):,} images held out as the test set, the same ones in every run; images added later move none"
        )
    if settings.per_class is not None:
        whole = len(train)
        train = train.select(subset(train, settings.per_class, seed))
        if len(train) < whole:
            notes.append(
                f"reduced to {len(train):,} of {whole:,} training images, at most {settings.per_class} per class"
            )
    if settings.channels not in (None, train.pixels.shape[1]):
        train, test = (_recolored(part, settings.channels, notes) for part in (train, test))
    if settings.size is not None:
        train, test = (_scaled(part, settings.size, notes) for part in (train, test))
    if shared := shared_images(train, test):
        notes.append(f"{shared} of the test images stand in the training part, too")
    counts = torch.bincount(train.labels, minlength=len(found.classes))
    if (most := int(counts.max())) >= _UNEQUAL * (least := int(counts.min())):
        large, small = found.classes[int(counts.argmax())], found.classes[int(counts.argmin())]
        notes.append(f"unequal classes: {most:,} training images of {large}, {least:,} of {small}")
    published = found.normalization if train.pixels.shape[1] == found.train.pixels.shape[1] else None
    mean, std = published or statistics(train)
    return ImageData(found.name, found.classes, train, test, mean, std, tuple(notes), found.left_out, found.duplicates)


def read_source(source: str, settings: ImageSettings) -> Source:
    """Read images by name, before :func:`load_images` divides, reduces and scales them.

    Args:
        source: as for :func:`load_images`.
        settings: what a loader may use; the images of a folder are decoded to its size.

    Raises:
        ConfigError: the source is unknown.
        DataError: the images are missing or unusable.
    """
    name, *argument = [source] if names_code(source) else source.split(":", 1)
    if name == "dataset":
        what = "adarts.search or adarts.train with the same data=, config_file= and run={'run_dir': ...}"
        raise ConfigError(f"data '{source[:60]}' was given as an object in Python; continue there with {what}")
    may_be_path = bool(source) and not argument and name not in DATA.known and not names_code(source)
    if may_be_path and Path(source).exists():
        raise ConfigError(f"unknown data set {source[:60]!r}; did you mean 'folder:{source[:60]}'?")
    try:
        loader = DATA.get(name)
    except ConfigError as error:
        raise ConfigError(f"{error}{' (there is no such folder either)' if may_be_path else ''}") from None
    try:
        inspect.signature(loader).bind(settings, *argument)
    except TypeError:
        takes = "takes no text after a colon" if argument else f"needs a text after a colon: {name}:TEXT"
        raise ConfigError(f"data set '{name}' {takes}") from None
    try:
        found = loader(settings, *argument)
    except AdartsError:
        raise
    except Exception as error:  # user code may raise anything
        raise DataError(f"data set '{source}' cannot be loaded: {in_one_line(error)}") from error
    return found if isinstance(found, Source) else as_source(found, name.rpartition(":")[2])


def folder_in(data: str) -> Path | None:
    """The path in ``folder:PATH``; None for other data sets.

    Raises:
        ConfigError: the path is missing.
        DataError: the path cannot be used.
    """
    name, _, path = data.partition(":")
    if name != "folder":
        return None
    if not path:
        raise ConfigError("folder: needs a path, as in folder:photos")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # ~NAME of an unknown user
        raise DataError(f"folder:{path}: {error}") from error


def _load_folder(settings: ImageSettings, path: str = "") -> Source:
    folder = folder_in(f"folder:{path}")
    assert folder is not None
    return load_folder(folder, settings)


# Flipped digits are not digits, and a padding of 4 would crop too much of 16 pixels.
register_data("digits", load_digits, {"flip": False, "crop_padding": 2})
register_data("folder", _load_folder)
for _name in CIFAR:
    register_data(_name, partial(load_cifar, _name))


def _recolored(images: Images, channels: int, notes: list[str]) -> Images:
    if images.pixels.shape[1] not in (1, 3):
        raise DataError(f"--images.channels {channels}: the images have {images.pixels.shape[1]} channels, not 1 or 3")
    if (note := "colors are read as gray" if channels == 1 else "gray is read as RGB") not in notes:
        notes.append(note)
    return images.recolored(channels)


def _scaled(images: Images, size: int, notes: list[str]) -> Images:
    height, width = images.pixels.shape[2:]
    if (height, width) == (size, size):
        return images
    require_memory(len(images), size, images.pixels.shape[1])
    if (note := f"images of {height}x{width} scaled to {size}x{size}") not in notes:
        notes.append(note)
    return images.resized(size)
