"""Check images without a search: read them exactly as a search does, and tell all that was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from adarts.config.settings import ImageSettings
from adarts.data.decode import Header
from adarts.data.folder import Reading, read_folder
from adarts.data.images import ImageData
from adarts.data.layout import counted
from adarts.data.load import folder_in, load_images
from adarts.data.near import Near, can_look, near_duplicates, remarks
from adarts.errors import DataError

_MODES = {
    "1": "black and white",
    "L": "gray",
    "LA": "gray, transparent",
    "P": "palette",
    "PA": "palette, transparent",
    "RGBA": "RGB, transparent",
    "I": "gray, 32 bits",
    "F": "gray, floating point",
}


@dataclass(frozen=True)
class DataCheck:
    """What a check saw.

    Attributes:
        source: the data set, as given.
        problems: reasons why a search would refuse the images.
        images: the images as a search gets them; None if there are problems.
        reading: the files of a folder; None for other data sets, and if no classes were found.
        near: the files that nearly equal another one; None if they were not looked for.
    """

    source: str
    problems: tuple[str, ...]
    images: ImageData | None
    reading: Reading | None
    near: tuple[Near, ...] | None = None

    @property
    def verdict(self) -> str:
        """One sentence: whether a search would run on these images."""
        if self.images is None:
            return f"A search would refuse {self.source}: {counted(len(self.problems), 'problem')}."
        count, classes = len(self.images.train) + len(self.images.test), self.images.num_classes
        noted = f", with {counted(len(self.notes), 'remark')}" if self.notes else ""
        return f"A search would run on {self.source}: {count:,} images in {classes} classes{noted}."

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks: what is passed over, left out, changed or unusual."""
        notes = self.images.notes if self.images else tuple(self.reading.notes if self.reading else ())
        return (*notes, *remarks(self.near or ()))

    @property
    def class_counts(self) -> list[tuple[str, int, int]]:
        """Name, training images and test images of every class; images that are not divided yet count as training images."""
        if self.images is not None:
            return self.images.class_counts
        if self.reading is None:
            return []
        counts = Counter((photo.label, photo.part == "test") for photo in self.reading.photos)
        classes = self.reading.layout.classes
        return [(name, counts[label, False], counts[label, True]) for label, name in enumerate(classes)]

    @property
    def files(self) -> dict[str, Any]:
        """Facts about the files of a folder: formats, pixel formats, sizes, turned and animated ones."""
        headers = list(self.reading.headers.values()) if self.reading else []
        if not headers:
            return {}
        return {
            "formats": _shares(header.format for header in headers),
            "pixels": _shares(_MODES.get(header.mode, header.mode) for header in headers),
            "gray": sum(header.is_gray for header in headers),
            "sizes": _sizes(headers),
            "turned": sum(header.turned for header in headers),
            "animated": sum(header.animated for header in headers),
        }

    def record(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "source": self.source,
            "usable": self.images is not None,
            "verdict": self.verdict,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "files": self.files,
            "classes": [{"name": name, "train": train, "test": test} for name, train, test in self.class_counts],
            "left_out": [] if self.reading is None else [{"file": f, "reason": r} for f, r in self.reading.left_out],
            "duplicates": [] if self.reading is None else [list(group) for group in self.reading.duplicates],
            "near_duplicates": None if self.near is None else [asdict(one) for one in self.near],
            "fingerprint": self.images and self.images.fingerprint,
        }


def check_data(source: str, settings: ImageSettings, near: bool = False) -> DataCheck:
    """Read images as a search does, and tell what was seen.

    Args:
        source: as for ``--data``.
        near: look for files that nearly equal another one, too, if imagehash is installed.
        settings: size, broken images to tolerate, and the others that decide which images are used.

    Raises:
        ConfigError: there is no data set of this name.
    """
    reading = None
    try:
        folder = folder_in(source)
        if folder is None:
            return DataCheck(source, (), load_images(source, settings, seed=0), None)
        reading = read_folder(folder, settings)
        if reading.problems:
            return DataCheck(source, tuple(reading.problems), None, reading)
        images = load_images(reading.source(), settings, seed=0)
        alike = tuple(near_duplicates(images)) if near and can_look() else None
        return DataCheck(source, (), images, reading, alike)
    except DataError as error:
        return DataCheck(source, (str(error),), None, reading)


def _shares(values: Iterable[str]) -> dict[str, int]:
    """How many of each kind, the most frequent first."""
    return dict(Counter(values).most_common())


def _sizes(headers: list[Header]) -> dict[str, Any]:
    """Width and height of the smallest, the median and the largest image, and how many different sizes there are."""
    sizes = sorted((header.size for header in headers), key=lambda size: (size[0] * size[1], size))
    middle = [int(median(side)) for side in zip(*sizes, strict=True)]
    return {"smallest": list(sizes[0]), "median": middle, "largest": list(sizes[-1]), "different": len(set(sizes))}
