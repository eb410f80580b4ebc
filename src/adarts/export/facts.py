"""What a user of a network must know: its classes, its input, and how good it is. Every exported file holds these facts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import adarts
from adarts.errors import DataError, refusing

_INPUT = (
    "pixels: uint8 from 0 to 255, (batch, channels, height, width), RGB or gray; the graph scales and normalizes them"
)
LARGEST_SIDE = 2048
"""Most pixels of a side of the input; a file may name any number, and as much memory would be taken."""
MOST_CHANNELS = 1024
"""Most channels of the input, likewise."""
_OUTPUT = "logits: float32, (batch, classes); their softmax are the probabilities"


@dataclass(frozen=True)
class Facts:
    """The facts of a trained network. They may come from anybody's file, and source code is made of them, so they are checked.

    Attributes:
        classes: names of the classes, indexed by output.
        image_size: (height, width) of the input.
        in_channels: 3 for RGB, 1 for gray.
        mean: mean of each channel of the training images on a scale from 0 to 1.
        std: standard deviation, likewise.
        data: name of the training's data set.
        data_fingerprint: sha256 of its images and labels.
        test_accuracy: share of the test images whose class is found, in [0, 1].
        test_images: number of test images.

    Raises:
        ValueError: a fact cannot be; the message names it.
    """

    classes: tuple[str, ...]
    image_size: tuple[int, int]
    in_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: str
    data_fingerprint: str
    test_accuracy: float
    test_images: int

    def __post_init__(self) -> None:
        channels = self.in_channels
        right = {
            "classes": _are(str, self.classes) and len(self.classes) > 0,
            "image_size": _are(int, self.image_size) and len(self.image_size) == 2 and min(self.image_size) > 0,
            "in_channels": _are(int, (channels,)) and 0 < channels <= MOST_CHANNELS,
            "mean": _are(float, self.mean) and len(self.mean) == channels,
            "std": _are(float, self.std) and len(self.std) == channels and min(self.std) > 0,
            "data": _are(str, (self.data, self.data_fingerprint)),
            "test_accuracy": _are(float, (self.test_accuracy,)) and 0 <= self.test_accuracy <= 1,
            "test_images": _are(int, (self.test_images,)) and self.test_images >= 0,
        }
        if right["image_size"] and max(self.image_size) > LARGEST_SIDE:
            raise ValueError(f"images of more than {LARGEST_SIDE} pixels a side are not predicted")
        if wrong := [name for name, is_right in right.items() if not is_right]:
            raise ValueError(f"{', '.join(wrong)} cannot be right")

    @classmethod
    def of(cls, *records: Mapping[str, Any]) -> Facts:
        """Read the facts from records that hold them all together, e.g. ``summary.json`` and ``model.json``; the last one wins.

        Raises:
            KeyError: a fact is missing.
            ValueError: a fact cannot be.
        """
        every = {name: value for record in records for name, value in record.items()}
        found: dict[str, Any] = {field.name: every[field.name] for field in dataclasses.fields(cls)}
        tuples: dict[str, Any] = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return cls(**(found | tuples))

    def measured(self, test_accuracy: float) -> Facts:
        """These facts for a version of the network with another accuracy."""
        return dataclasses.replace(self, test_accuracy=test_accuracy)

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON, and the version of adarts."""
        return {**dataclasses.asdict(self), "adarts": adarts.__version__}

    def of_graph(self) -> dict[str, Any]:
        """The facts with the form of input and output, for files that hold the whole way from pixels to logits."""
        return {**self.to_dict(), "input": _INPUT, "output": _OUTPUT}

    def to_texts(self) -> dict[str, str]:
        """Each entry of :meth:`of_graph` as JSON text, for formats whose metadata are texts."""
        return {name: json.dumps(value, ensure_ascii=False) for name, value in self.of_graph().items()}

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], source: object) -> Facts:
        """Read the facts from the metadata of a file.

        Raises:
            DataError: they are missing or damaged; the message names the source.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in texts]:
            raise DataError(f"{source}: not a file of `adarts export`; its metadata lack {', '.join(missing)}")
        with refusing(f"{source}: its metadata are damaged", DataError):
            return cls.of({name: json.loads(texts[name]) for name in names})


def _are(kind: type, values: Any) -> bool:
    """Whether these are a tuple of texts, of whole numbers, or of finite numbers."""
    if not isinstance(values, tuple):
        return False
    if kind is float:
        return all(type(value) in (int, float) and math.isfinite(value) for value in values)
    return all(type(value) is kind for value in values)
