"""What a user of a network must know: its classes, its input, and how good it is. Every exported file holds these facts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import adarts
from adarts.errors import DataError

_INPUT = (
    "pixels: uint8 from 0 to 255, (batch, channels, height, width), RGB or gray; the graph scales and normalizes them"
)
_OUTPUT = "logits: float32, (batch, classes); their softmax are the probabilities"


@dataclass(frozen=True)
class Facts:
    """The facts of a trained network.

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

    @classmethod
    def of(cls, *records: Mapping[str, Any]) -> Facts:
        """Read the facts from records that hold them all together, such as ``model.json`` and ``summary.json``.

        Raises:
            KeyError: a fact is missing.
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
        try:
            return cls.of({field.name: json.loads(texts[field.name]) for field in dataclasses.fields(cls)})
        except (KeyError, ValueError) as error:
            raise DataError(f"{source}: not a file of `adarts export`; its metadata lack {error}") from error
