"""What a network answers on the test images: its accuracy in all and by class, what it confuses, and its worst mistakes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from adarts.data import ImageData
from adarts.report.palette import HEAT
from adarts.training.heat import HeatMaps

MISTAKES = 16
"""Mistakes that are shown."""
THUMBNAIL = 96
"""Largest side of their pictures in pixels."""
STRONGEST = 215
"""Opacity of a heat map at its strongest place, of 255."""


@dataclass(frozen=True)
class Answers:
    """What a network answers on the test images.

    Attributes:
        loss: mean loss.
        accuracy: share of the images with the right class.
        predicted_b: the most probable class of each image.
        confidence_b: its probability in [0, 1].
    """

    loss: float
    accuracy: float
    predicted_b: Tensor
    confidence_b: Tensor


def figures(data: ImageData, answers: Answers) -> dict[str, Any]:
    """The figures of a test as plain JSON.

    Args:
        data: the images.
        answers: what the network answers on them.

    Returns:
        ``test_accuracy``, ``test_loss``, ``test_images``; ``balanced_accuracy``, the mean of the accuracies of all classes;
        ``largest_class``, the ``name`` and ``share`` of the class that a constant guess would choose; and ``test_classes``
        with ``name``, ``images``, ``accuracy`` (the share of its images that are found; None without any) and ``precision``
        (the share of the images taken for it that are right; None without any) of each class.
    """
    confused_kk = _confused(data, answers)
    images_k, named_k, correct_k = confused_kk.sum(1), confused_kk.sum(0), confused_kk.diagonal()
    known = [share for share in map(_share, correct_k, images_k) if share is not None]
    largest = int(images_k.argmax())
    return {
        "test_accuracy": answers.accuracy,
        "test_loss": answers.loss,
        "test_images": len(data.test),
        "balanced_accuracy": sum(known) / len(known),
        "largest_class": {"name": data.classes[largest], "share": int(images_k[largest]) / len(data.test)},
        "test_classes": [
            {"name": name, "images": int(n), "accuracy": _share(right, n), "precision": _share(right, named)}
            for name, n, named, right in zip(data.classes, images_k, named_k, correct_k, strict=True)
        ],
    }


def worst_mistakes(data: ImageData, answers: Answers) -> Tensor:
    """The test images with a wrong answer of the highest probability, highest first: indices, at most :data:`MISTAKES`."""
    wrong = (answers.predicted_b != data.test.labels.cpu()).nonzero()[:, 0]
    return wrong[answers.confidence_b[wrong].argsort(descending=True, stable=True)][:MISTAKES]


def details(data: ImageData, answers: Answers, heat: HeatMaps) -> dict[str, Any]:
    """What a network confuses, as plain JSON.

    Args:
        data: the images.
        answers: what the network answers on them.
        heat: heat maps of the images of :func:`worst_mistakes`.

    Returns:
        ``classes``, their names; ``confused``, triples of a true class, a predicted class and the number of such images, right
        answers included; ``mistakes``, the wrong answers with the highest probability first: ``true``, ``predicted``,
        ``confidence``, the ``file`` or number of the image, its picture as PNG in base64, and its ``heat``: the picture under its
        map, and ``where`` the map is strongest (empty if nowhere); None without a map. ``no_heat`` says why there are no maps.
    """
    confused_kk, test = _confused(data, answers), data.test
    worst = worst_mistakes(data, answers).tolist()
    return {
        "classes": list(data.classes),
        "confused": [[*pair, int(confused_kk[*pair])] for pair in confused_kk.nonzero().tolist()],
        "mistakes": [
            {
                "true": int(test.labels[index]),
                "predicted": int(answers.predicted_b[index]),
                "confidence": float(answers.confidence_b[index]),
                "file": test.names[index] if test.names else f"test image {index}",
                "png": _png(_picture(test.pixels[index])),
                "heat": map_hw if map_hw is None else _heat(_picture(test.pixels[index]), map_hw),
            }
            for index, map_hw in zip_longest(worst, heat.maps_hw)
        ],
        "no_heat": heat.problem,
    }


def beside(found: Mapping[str, Any]) -> str:
    """What to read beside the accuracy of :func:`figures`, in words."""
    largest = found["largest_class"]
    mean = f"mean over the classes {found['balanced_accuracy']:.2%}"
    return f"{mean}; always answering {largest['name']} gives {largest['share']:.2%}"


def _confused(data: ImageData, answers: Answers) -> Tensor:
    """Number of images by true and predicted class, (classes, classes)."""
    pairs_b = data.test.labels.cpu() * data.num_classes + answers.predicted_b
    return torch.bincount(pairs_b, minlength=data.num_classes**2).view(data.num_classes, data.num_classes)


def _share(part: Tensor, whole: Tensor) -> float | None:
    return int(part) / int(whole) if whole else None


def _picture(pixels_chw: Tensor) -> Image.Image:
    """A small picture of an image; of other channels than gray or RGB, the first ones are shown."""
    shown_hwc = (pixels_chw[:3] if len(pixels_chw) >= 3 else pixels_chw[:1]).permute(1, 2, 0).contiguous().cpu()
    picture = Image.fromarray((shown_hwc if shown_hwc.shape[2] == 3 else shown_hwc[..., 0]).numpy())
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return picture


def _heat(picture: Image.Image, map_hw: Tensor) -> dict[str, str]:
    """The picture in gray under a heat map, and where the map is strongest."""
    opacity = Image.fromarray((STRONGEST * map_hw).byte().numpy()).resize(picture.size, Image.Resampling.BILINEAR)
    heated = Image.composite(Image.new("RGB", picture.size, HEAT), picture.convert("L").convert("RGB"), opacity)
    return {"png": _png(heated), "where": _strongest(map_hw)}


def _strongest(map_hw: Tensor) -> str:
    """The strongest place of a heat map in words, such as `top left`; none if nothing spoke for the answer."""
    if not map_hw.any():
        return ""
    row, column = divmod(int(map_hw.argmax()), map_hw.shape[1])
    down = ("top", "", "bottom")[_third(row, map_hw.shape[0])]
    across = ("left", "", "right")[_third(column, map_hw.shape[1])]
    return f"{down} {across}".strip() or "center"


def _third(index: int, count: int) -> int:
    """In which third the middle of a place lies: 0, 1 or 2."""
    return 3 * (2 * index + 1) // (2 * count)


def _png(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
