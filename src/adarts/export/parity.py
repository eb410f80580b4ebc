"""Does an exported network give the answers of the trained one?

Shape suffixes: b batch, c channels, h height, w width, k classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from adarts.data import ImageData
from adarts.errors import ExportError
from adarts.export.loaded import Logits, Pixels
from adarts.export.trained import Trained

IMAGES = 100
BATCHES = (1, 7)
TOLERANCE = 1e-5
"""Largest difference of a logit, relative to the largest logit if that is above 1: float32 has seven digits."""

Answer = Callable[[Pixels], Logits]


@dataclass(frozen=True)
class Parity:
    """The largest difference to the logits of the trained network.

    Attributes:
        images: number of images.
        differences: the largest difference at each batch size.
        largest: the largest logit.
    """

    images: int
    differences: dict[int, float]
    largest: float

    def __str__(self) -> str:
        each = " and ".join(f"{difference:.1e} at batch {size}" for size, difference in self.differences.items())
        return f"logits differ by at most {each}, on {self.images} images (logits up to {self.largest:.1f})"


def check(trained: Trained, answer: Answer, pixels_bchw: Pixels) -> Parity:
    """Compare an exported network with the trained one, which runs as in its training, at every size of :data:`BATCHES`.

    Args:
        trained: the trained network.
        answer: the exported one, from images to logits.
        pixels_bchw: images, from :func:`some`.

    Raises:
        ExportError: a logit differs by more than :data:`TOLERANCE`, or the exported network refuses a batch size.
    """
    right = trained.logits(pixels_bchw)
    largest = float(np.abs(right).max())
    differences = {}
    for size in BATCHES:
        starts = range(0, len(pixels_bchw), size)
        try:
            found = np.concatenate([answer(pixels_bchw[start : start + size]) for start in starts])
        except Exception as error:  # each runtime has exceptions of its own
            raise ExportError(
                f"the exported network refuses a batch of {size}: {str(error).splitlines()[0]}"
            ) from error
        differences[size] = float(np.abs(found - right).max())
    parity = Parity(len(pixels_bchw), differences, largest)
    if not max(differences.values()) <= TOLERANCE * max(1.0, largest):  # NaN does not pass
        raise ExportError(f"the exported network is not the trained one: {parity}")
    return parity


def some(trained: Trained, images: ImageData | None) -> Pixels:
    """The first test images for a comparison, or random pixels if there are none."""
    if images is not None:
        return images.test.pixels[:IMAGES].contiguous().numpy()
    shape = (IMAGES, trained.facts.in_channels, *trained.facts.image_size)
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).numpy()


def accuracy(answer: Answer, images: ImageData) -> float:
    """The share of the test images whose class is found, in [0, 1]."""
    parts = zip(images.test.pixels.split(64), images.test.labels.split(64), strict=True)
    right = [answer(part.contiguous().numpy()).argmax(1) == labels.numpy() for part, labels in parts]
    return float(np.concatenate(right).mean())
