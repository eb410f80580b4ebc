"""Load a folder of images with one subfolder per class: list the files first, then read them.

The notes name everything that is left out or changed.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from adarts.config.settings import ImageSettings
from adarts.data.decode import SUFFIXES, Unreadable, decode, measure
from adarts.data.images import Images
from adarts.data.memory import require_memory
from adarts.data.source import Source
from adarts.errors import DataError

KEPT_SIZE = 96
"""Square images of one size keep it up to this side."""
DEFAULT_SIZE = 64
"""Side of all other images after resizing."""

_LISTED = 50  # broken images listed in one message

Size = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class _Photo:
    """An image file, its part ("train", "test", or "" in a folder without the two) and its class."""

    path: Path
    part: str
    label: int


@dataclass(frozen=True)
class _Layout:
    """The classes and image files of a folder; `photos` has a fixed order."""

    root: Path
    parts: dict[str, Path]
    classes: tuple[str, ...]
    photos: list[_Photo]
    notes: list[str]


def load_folder(root: Path, settings: ImageSettings) -> Source:
    """Read a folder of images.

    Args:
        root: contains train/ and test/ with a folder for each class, or only the folders of the classes. In the second case,
            a fixed share of every class becomes the test set.
        settings: size, share of the test set, and number of broken images to tolerate.

    Raises:
        DataError: the folder or a class is unusable, too many images are broken, or the images do not fit into memory.
    """
    try:
        layout = _find(root)
    except OSError as error:
        raise DataError(f"{root} cannot be listed: {error}") from error
    sizes, broken = _read([photo.path for photo in layout.photos], measure)
    _usable(layout, broken, settings)
    size, notes = _choose_size(Counter(sizes.values()), settings)
    require_memory(len(sizes), size)

    pixels, damaged = _decode(list(sizes), size)
    broken |= damaged
    photos = _usable(layout, broken, settings)
    images = Images(torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.tensor([photo.label for photo in photos]))
    notes += [f"left out {path.relative_to(root)}: {reason}" for path, reason in broken.items()]
    name, notes = root.resolve().name or "folder", [*layout.notes, *notes]
    if "" in layout.parts:
        return Source(name, layout.classes, images, None, ("no train/ and test/ folders", *notes))
    parts = [[place for place, photo in enumerate(photos) if photo.part == part] for part in ("train", "test")]
    train, test = (images.select(torch.tensor(places)) for places in parts)
    return Source(name, layout.classes, train, test, tuple(notes))


def _find(root: Path) -> _Layout:
    if not root.is_dir():
        raise DataError(f"{root} is a file, not a folder of images" if root.exists() else f"no folder {root}")
    folders = _folders(root)
    found = [part for part in ("train", "test") if part in folders]
    if len(found) == 1:
        raise DataError(f"{root} has {found[0]}/ only; it needs both train/ and test/, or neither")
    parts: dict[str, Path] = {part: folders[part] for part in found} if found else {"": root}
    notes = [f"ignored folder beside train/ and test/: {name}/" for name in folders if found and name not in found]

    classes, *others = (tuple(_folders(path)) for path in parts.values())
    for other in others:
        if unlike := sorted(set(classes) ^ set(other)):
            where = ", ".join(f"{name} (only in {'train' if name in classes else 'test'}/)" for name in unlike)
            raise DataError(f"{root}: train/ and test/ must have the same classes: {where}")
    if len(classes) < 2:
        what = f"only one class, {classes[0]}" if classes else "no class folders"
        raise DataError(f"{root} has {what}; a classifier needs at least two classes")

    files = [
        _Photo(file, part, label)
        for part, path in parts.items()
        for label, name in enumerate(classes)
        for file in _files(path / name)
    ]
    photos = [file for file in files if file.path.suffix.lower() in SUFFIXES]
    if strangers := [file.path for file in files if file.path.suffix.lower() not in SUFFIXES]:
        notes.append(f"ignored {len(strangers)} files that are not images, such as {strangers[0].relative_to(root)}")
    return _Layout(root, parts, classes, photos, notes)


def _folders(path: Path) -> dict[str, Path]:
    return {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.name.startswith(".")}


def _files(path: Path) -> list[Path]:
    """All files below a folder, except hidden ones (such as copies in .ipynb_checkpoints)."""
    return sorted(
        file
        for file in path.rglob("*")
        if (file.is_file() or not file.exists())  # includes dangling links, which are reported as broken
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def _usable(layout: _Layout, broken: dict[Path, str], settings: ImageSettings) -> list[_Photo]:
    """The usable images. Every class needs one in train/ and one in test/, or two in a folder without the two."""
    if len(broken) > settings.max_broken:
        listed = [f"{path.relative_to(layout.root)} ({reason})" for path, reason in list(broken.items())[:_LISTED]]
        rest = [f"and {len(broken) - _LISTED} more"] if len(broken) > _LISTED else []
        raise DataError(
            f"{layout.root}: {len(broken)} of {len(layout.photos)} images cannot be read, "
            f"more than --images.max-broken {settings.max_broken}: " + ", ".join(listed + rest)
        )
    photos = [photo for photo in layout.photos if photo.path not in broken]
    counts = Counter((photo.part, photo.label) for photo in photos)
    for part, path in layout.parts.items():
        poor = [name for label, name in enumerate(layout.classes) if counts[part, label] < (1 if part else 2)]
        if poor:
            few = "no usable image" if part else "fewer than two usable images"
            raise DataError(f"{path}: {few} in the class{'es' if len(poor) > 1 else ''} {', '.join(poor)}")
    return photos


def _read(paths: list[Path], read: Callable[[Path], T]) -> tuple[dict[Path, T], dict[Path, str]]:
    """Apply `read` to every file on all cores; return the results, and the reasons for unreadable files."""
    results: dict[Path, T] = {}
    broken: dict[Path, str] = {}

    def attempt(path: Path) -> T | Unreadable:
        try:
            return read(path)
        except Unreadable as error:
            return error

    pool = ThreadPoolExecutor(os.cpu_count())
    with warnings.catch_warnings():
        # Decompression bombs are refused by size; the other warnings concern metadata that is not used here.
        warnings.filterwarnings("ignore", module="PIL")
        try:
            for path, result in zip(paths, pool.map(attempt, paths), strict=True):
                if isinstance(result, Unreadable):
                    broken[path] = str(result)
                else:
                    results[path] = result
        finally:
            pool.shutdown(cancel_futures=True)  # an interruption must not wait for all files
    return results, broken


def _decode(paths: list[Path], size: int) -> tuple[NDArray[np.uint8], dict[Path, str]]:
    """The pixels of all readable files, (n, size, size, 3), and the reasons for broken ones."""
    pixels = np.empty((len(paths), size, size, 3), np.uint8)
    places = {path: place for place, path in enumerate(paths)}

    def fill(path: Path) -> None:
        pixels[places[path]] = decode(path, (size, size))

    _, broken = _read(paths, fill)
    return (np.delete(pixels, [places[path] for path in broken], axis=0) if broken else pixels), broken


def _choose_size(sizes: Counter[Size], settings: ImageSettings) -> tuple[int, list[str]]:
    """The side to which all images are resized, and notes about it."""
    width, height = next(iter(sizes))
    agree = len(sizes) == 1
    size = settings.size or (width if agree and width == height <= KEPT_SIZE else DEFAULT_SIZE)
    if agree and width == height == size:
        return size, []
    had = f"{width}x{height}" if agree else f"{len(sizes)} different sizes"
    chosen = "" if settings.size else " (change with --images.size)"
    return size, [f"images of {had} scaled and center-cropped to {size}x{size}{chosen}"]
