"""Predict the classes of image files. Nothing here needs torch.

Shape suffixes: b batch, c channels, h height, w width, k classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from adarts.data.decode import MAX_PIXELS, SUFFIXES, Unreadable, decode
from adarts.errors import ConfigError, DataError
from adarts.export.facts import Facts
from adarts.export.loaded import Logits, Model, Pixels, load

_BATCH = 32


@dataclass(frozen=True)
class Guess:
    """A class and its probability in [0, 1]."""

    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image.

    Attributes:
        image: the file.
        guesses: the most probable classes, best first; empty if the image is broken.
        error: why the image is broken, or None.
    """

    image: str
    guesses: tuple[Guess, ...] = ()
    error: str | None = None


def predict(
    model: str | Path | Model,
    images: str | Path | Iterable[str | Path],
    top: int = 3,
    threads: int | None = None,
) -> list[Prediction]:
    """Predict the classes of image files, as ``adarts predict`` does.

    A broken image has an `error` instead of guesses; the others are predicted.

    Args:
        model: an exported ``.onnx`` file, a training run, or a model of :func:`adarts.export.loaded.load`.
        images: an image or a folder, or several of them.
        top: number of classes per image.
        threads: CPU threads; None uses all cores.

    Raises:
        ConfigError: `top` is not positive.
        DataError: the model is unusable, or a folder has no images.
    """
    loaded = load(model, threads) if isinstance(model, str | Path) else model
    given = [images] if isinstance(images, str | Path) else images
    return list(predictions(loaded, listed(given), top, threads))


def predictions(model: Model, paths: Sequence[Path], top: int = 3, threads: int | None = None) -> Iterator[Prediction]:
    """Predict the classes of image files, one after the other, in their order.

    Args:
        model: the network.
        paths: the files, from :func:`listed`.
        top: number of classes per image.
        threads: threads that decode; None uses all cores.
    """
    if top < 1:
        raise ConfigError(f"top must be at least 1, not {top}")
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            pixels = list(pool.map(partial(_attempt, facts=model.facts), batch))
            readable = [one for one in pixels if not isinstance(one, str)]
            answers = iter(guesses(model, np.stack(readable), top) if readable else ())
            for path, one in zip(batch, pixels, strict=True):
                yield (
                    Prediction(shown(path), error=one)
                    if isinstance(one, str)
                    else Prediction(shown(path), next(answers))
                )


def guesses(model: Model, pixels_bchw: Pixels, top: int) -> list[tuple[Guess, ...]]:
    """The most probable classes of decoded images, best first."""
    classes, logits_bk = model.facts.classes, model.logits(pixels_bchw)
    if not np.isfinite(logits_bk).all():
        raise DataError("the network answers with NaN or infinity: its weights are damaged")
    return [
        tuple(Guess(classes[place], float(share_k[place])) for place in np.argsort(-share_k, kind="stable")[:top])
        for share_k in probabilities(logits_bk)
    ]


def probabilities(logits_bk: Logits) -> NDArray[np.float64]:
    """The softmax of logits (b, k)."""
    powers_bk = np.exp(logits_bk.astype(np.float64) - logits_bk.max(1, keepdims=True))
    shares_bk: NDArray[np.float64] = powers_bk / powers_bk.sum(1, keepdims=True)
    return shares_bk


def pixels_of(image: Path | BinaryIO, facts: Facts, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The input (c, h, w) that the network gets for an image; decoded as the images of a training folder are.

    Raises:
        Unreadable: the image is broken or too large.
    """
    return decode(image, facts.image_size, facts.in_channels, max_pixels).transpose(2, 0, 1)


def listed(images: Iterable[str | Path]) -> list[Path]:
    """The images in files and folders: a file as it is, of a folder all image files at any depth, except hidden ones.

    Raises:
        DataError: a file name is impossible, or a folder cannot be listed or has no images.
    """
    found: list[Path] = []
    for path in map(Path, images):
        try:
            if not path.is_dir():
                found.append(path)  # a missing file is reported like a broken one
                continue
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        except OSError as error:
            raise DataError(f"{shown(path)[:200]} cannot be read: {error.strerror}") from error
        inside = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        if not inside:
            raise DataError(f"{shown(path)} has no image files")
        found += inside
    return found


def shown(path: Path) -> str:
    """A file name that can be printed, even if its bytes are no text."""
    return os.fsencode(path).decode(errors="replace")


def _attempt(path: Path, facts: Facts) -> Pixels | str:
    """The pixels of a file, or why it is broken."""
    if not path.exists():
        return "no such file"
    try:
        return pixels_of(path, facts)
    except Unreadable as error:
        return str(error)
