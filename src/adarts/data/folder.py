"""Read a folder of images, or a table of labels beside one: find the files, read their headers, decode them.

Training, `adarts data check` and `adarts doctor` all read through :func:`read_folder`. It collects what is wrong instead of
stopping at the first problem, so that all of it can be told at once.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from adarts.config.settings import ImageSettings
from adarts.data.decode import Header, Unreadable, fitted, read_header, upright
from adarts.data.images import Images
from adarts.data.labels import ENDINGS, find_table, table_in
from adarts.data.layout import Layout, Photo, counted, find_folder, is_system, listed, part_of, printable
from adarts.data.memory import require_memory
from adarts.data.source import Source
from adarts.errors import DataError

KEPT_SIZE = 96
"""Square images of one size keep it up to this side."""
DEFAULT_SIZE = 64
"""Largest side of all other images after resizing."""
SMALLEST_SIZE = 8
"""Smallest one."""

_LISTED = 50  # broken images listed in one message

Size = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """The images of a folder, and what is wrong with it.

    Attributes:
        layout: classes and files.
        headers: what the files say of themselves, for all with a readable header.
        broken: the files that cannot be used, with the reason.
        photos: the files that can, in the order of the next two.
        pixels: uint8 (n, size, size, channels).
        digests: sha256 of the decoded pixels in the image's own size.
        problems: reasons to refuse the folder.
        notes: what was passed over, left out or changed.
    """

    layout: Layout
    headers: Mapping[Path, Header]
    broken: Mapping[Path, str]
    photos: Sequence[Photo]
    pixels: NDArray[np.uint8]
    digests: Sequence[bytes]
    problems: Sequence[str]
    notes: Sequence[str]

    @cached_property
    def equal(self) -> list[list[Photo]]:
        """Groups of files whose pixels are equal."""
        groups: dict[bytes, list[Photo]] = {}
        for photo, digest in zip(self.photos, self.digests, strict=True):
            groups.setdefault(digest, []).append(photo)
        return [group for group in groups.values() if len(group) > 1]

    @property
    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Paths of the files whose pixels are equal, by group."""
        return tuple(tuple(self.layout.place(photo.path) for photo in group) for group in self.equal)

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Paths of the broken files with the reason."""
        return tuple((self.layout.place(path), reason) for path, reason in self.broken.items())

    def source(self) -> Source:
        """The images for a search or a training.

        Raises:
            DataError: there are problems.
        """
        root, layout = self.layout.root, self.layout
        if self.problems:
            raise DataError(f"{root}: {'; '.join(self.problems)}")
        labels = torch.tensor([photo.label for photo in self.photos])
        names = tuple(layout.place(photo.path) for photo in self.photos)
        images = Images(torch.from_numpy(self.pixels).permute(0, 3, 1, 2), labels, names)
        places = {part: [n for n, photo in enumerate(self.photos) if photo.part == part] for part in layout.parts}
        train, *test = (images.select(torch.tensor(those)) for those in places.values())
        return Source(
            printable(root.resolve().name) or "folder",
            layout.classes,
            train,
            test[0] if test else None,
            tuple(self.notes),
            digests=tuple(self.digests[n] for n in places[layout.parts[0]]),
            left_out=self.left_out,
            duplicates=self.duplicates,
        )


def load_folder(root: Path, settings: ImageSettings) -> Source:
    """Read a folder of images or a table of labels; see :func:`read_folder`.

    Raises:
        DataError: the folder or a class is unusable, too many images are broken, or the images do not fit into memory.
    """
    return read_folder(root, settings).source()


def read_folder(root: Path, settings: ImageSettings) -> Reading:
    """Read a folder of images or a table of labels.

    Args:
        root: a folder in one of the layouts of docs/data.md, or a table (CSV).
        settings: size, use of validation images, and number of broken images to tolerate.

    Raises:
        DataError: no classes can be found, or the images do not fit into memory. Other problems are in the result.
    """
    try:
        layout = _find(root, settings)
    except OSError as error:
        raise DataError(f"{root} cannot be listed: {error}") from error
    headers, broken = _read([photo.path for photo in layout.photos], read_header)
    size, notes = _choose_size(Counter(header.size for header in headers.values()), settings)
    channels, more = _choose_channels(headers.values(), settings)
    require_memory(len(headers), size, channels)
    pixels = np.empty((len(headers), size, size, channels), np.uint8)
    places = {path: place for place, path in enumerate(headers)}

    def fill(path: Path) -> bytes:
        image = upright(path)
        pixels[places[path]] = fitted(image, (size, size), channels)
        return hashlib.sha256(f"{image.size}".encode() + image.tobytes()).digest()

    digests, damaged = _read(list(headers), fill)
    broken |= damaged
    if damaged:
        pixels = np.delete(pixels, [places[path] for path in damaged], axis=0)
    photos = [photo for photo in layout.photos if photo.path in digests]
    notes = [*layout.notes, *notes, *more]
    if len(broken) <= settings.max_broken:
        notes += [f"left out {layout.place(path)}: {reason}" for path, reason in broken.items()]
    problems = _problems(layout, broken, photos, settings)
    found = Reading(layout, headers, broken, photos, pixels, [digests[p.path] for p in photos], problems, notes)
    notes += _remarks(found)
    return found


def _find(root: Path, settings: ImageSettings) -> Layout:
    if root.is_file() and root.suffix.lower() in ENDINGS:
        return find_table(root, settings.validation)
    if not root.is_dir():
        raise DataError(f"{root} is a file, not a folder of images" if root.exists() else f"no folder {root}")
    folders = [entry for entry in root.iterdir() if entry.is_dir() and not is_system(entry.name)]
    loose = len(folders) <= 1 or all(part_of(entry.name) for entry in folders)
    deep = any(entry.is_dir() and not is_system(entry.name) for folder in folders for entry in folder.iterdir())
    if loose and not deep and (table := table_in(root)):
        return find_table(table, settings.validation)
    return find_folder(root, settings.validation)


def _problems(
    layout: Layout, broken: Mapping[Path, str], photos: Sequence[Photo], settings: ImageSettings
) -> list[str]:
    """Reasons to refuse the images: too many broken ones, and classes without enough images."""
    found = []
    if len(broken) > settings.max_broken:
        names = [f"{layout.place(path)} ({reason})" for path, reason in list(broken.items())[:_LISTED]]
        rest = f" and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
        found.append(
            f"{len(broken)} of {counted(len(layout.photos), 'image')} cannot be read, more than --max-broken "
            f"{settings.max_broken}: {', '.join(names)}{rest}; mend them, or leave them out with --max-broken {len(broken)}"
        )
    counts = Counter((photo.part, photo.label) for photo in photos)
    poor: dict[tuple[str, ...], list[int]] = {}
    for label in range(len(layout.classes)):
        if missing := tuple(part for part in layout.parts if counts[part, label] < (1 if part else 2)):
            poor.setdefault(missing, []).append(label)
    for missing, labels in poor.items():
        few = "fewer than two usable images" if missing == ("",) else "no usable image"
        which = listed(_with_strangers(layout, missing, label) for label in labels)
        where = "" if missing == layout.parts else f" among the {_PARTS[missing[0]]} images"
        found.append(
            f"{few} in the class{'es' if len(labels) > 1 else ''} {which}{where}; add images or remove the folder"
        )
    return found


_PARTS = {"train": "training", "test": "test"}


def _with_strangers(layout: Layout, parts: Sequence[str], label: int) -> str:
    """The name of a class and the files in it that are not read as images."""
    strangers = sum((layout.strangers.get((part, label), Counter()) for part in parts), Counter[str]())
    held = ", ".join(f"{counted(n, 'file')} {ending}" for ending, n in strangers.most_common(3))
    return layout.classes[label] + (f" ({held})" if held else "")


def _remarks(reading: Reading) -> list[str]:
    """What to know about equal images."""
    found, place = [], reading.layout.place
    groups = reading.equal
    if groups:
        more, first = sum(map(len, groups)) - len(groups), groups[0]
        found.append(
            f"{counted(more, 'image')} equal to another one, such as {place(first[1].path)} to {place(first[0].path)}"
        )
    if mixed := [group for group in groups if len({photo.label for photo in group}) > 1]:
        one, other = mixed[0][0], next(photo for photo in mixed[0] if photo.label != mixed[0][0].label)
        found.append(
            f"{counted(len(mixed), 'image')} in two classes at once, such as {place(one.path)} and {place(other.path)}"
        )
    return found


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


def _choose_size(sizes: Counter[Size], settings: ImageSettings) -> tuple[int, list[str]]:
    """The side to which all images are resized, and notes about it."""
    if not sizes:
        return settings.size or DEFAULT_SIZE, []
    width, height = next(iter(sizes))
    agree = len(sizes) == 1
    if settings.size or (agree and width == height <= KEPT_SIZE):
        size = settings.size or width
    else:  # small images are not enlarged; a multiple of 4 is halved twice without a rest
        side = int(median(min(one) for one in sizes.elements()))
        size = max(SMALLEST_SIZE, min(DEFAULT_SIZE, side // 4 * 4))
    if agree and width == height == size:
        return size, []
    had = f"{width}x{height}" if agree else f"{len(sizes)} different sizes"
    chosen = "" if settings.size else " (change with --images.size)"
    return size, [f"images of {had} scaled and center-cropped to {size}x{size}{chosen}"]


def _choose_channels(headers: Collection[Header], settings: ImageSettings) -> tuple[int, list[str]]:
    """The channels of all images, and notes about them."""
    gray = sum(header.is_gray for header in headers)
    if settings.channels or gray in (0, len(headers)):
        return settings.channels or (1 if gray else 3), []
    return 3, [f"{gray:,} of {counted(len(headers), 'image')} are gray and read as RGB (change with --images.channels)"]
