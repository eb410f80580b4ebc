"""One door to all images: a name in, an :class:`ImageData` out."""

from __future__ import annotations

from pathlib import Path

from adarts.config.settings import ImageSettings
from adarts.data.folder import load_folder
from adarts.data.images import ImageData, Images, shared_images, statistics
from adarts.data.memory import require_memory
from adarts.data.named import CIFAR, load_cifar
from adarts.data.signs import load_signs
from adarts.data.source import Source
from adarts.data.splits import subset
from adarts.errors import ConfigError, DataError, nearest

NAMES = ("signs", *CIFAR, "folder:PATH")


def load_images(source: str, settings: ImageSettings, seed: int) -> ImageData:
    """Load a data set into memory.

    Args:
        source: signs (embedded), cifar10, cifar100, or folder:PATH.
        settings: size, reduction, and where named sets lie.
        seed: decides which images stay when `per_class` reduces the training part.

    Raises:
        ConfigError: if there is no such source.
        DataError: if the images are not there or cannot be used.
    """
    found = _read(source, settings)
    train, test, notes = found.train, found.test, list(found.notes)
    if settings.per_class is not None:
        whole = len(train)
        train = train.select(subset(train, settings.per_class, seed))
        notes.append(f"reduced to {len(train):,} of {whole:,} training images, at most {settings.per_class} a class")
    if settings.size is not None:
        train, test = (_scaled(part, settings.size, notes) for part in (train, test))
    if shared := shared_images(train, test):
        notes.append(f"{shared} of the test images stand in the training part too")
    mean, std = found.normalization or statistics(train)
    return ImageData(found.name, found.classes, train, test, mean, std, tuple(notes))


def _read(source: str, settings: ImageSettings) -> Source:
    kind, colon, path = source.partition(":")
    if kind == "folder" and colon:
        if not path:
            raise ConfigError("folder: needs the path of a folder, as in folder:photos")
        try:
            folder = Path(path).expanduser()
        except RuntimeError as error:  # ~NAME of somebody who has no home here
            raise DataError(f"folder:{path}: {error}") from error
        return load_folder(folder, settings)
    if source == "signs":
        return load_signs()
    if source in CIFAR:
        return load_cifar(source, settings)
    raise ConfigError(f"unknown data set '{source}'{nearest(source, NAMES)}")


def _scaled(images: Images, size: int, notes: list[str]) -> Images:
    height, width = images.pixels.shape[2:]
    if (height, width) == (size, size):
        return images
    require_memory(len(images), size)
    note = f"images of {height}x{width} scaled to {size}x{size}"
    if note not in notes:
        notes.append(note)
    return images.resized(size)
