"""The figures of a test: accuracy in all and by class, beside what needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adarts.data import ImageData


def figures(data: ImageData, loss: float, accuracy: float, predicted_b: Tensor) -> dict[str, Any]:
    """The figures of a test as plain JSON.

    Args:
        data: the images.
        loss: mean loss on the test images.
        accuracy: share of the test images with the right class.
        predicted_b: the predicted class of each test image.

    Returns:
        ``test_accuracy``, ``test_loss``, ``test_images``; ``balanced_accuracy``, the mean of the accuracies of all classes;
        ``largest_class``, the ``name`` and ``share`` of the class that a constant guess would choose; and ``test_classes``
        with ``name``, ``images`` and ``accuracy`` of each class (None without test images).
    """
    labels_b = data.test.labels.cpu()
    images_k = torch.bincount(labels_b, minlength=data.num_classes)
    correct_k = torch.bincount(labels_b[predicted_b == labels_b], minlength=data.num_classes)
    shares = [int(right) / int(n) if n else None for right, n in zip(correct_k, images_k, strict=True)]
    known = [share for share in shares if share is not None]
    largest = int(images_k.argmax())
    return {
        "test_accuracy": accuracy,
        "test_loss": loss,
        "test_images": len(labels_b),
        "balanced_accuracy": sum(known) / len(known),
        "largest_class": {"name": data.classes[largest], "share": int(images_k[largest]) / len(labels_b)},
        "test_classes": [
            {"name": name, "images": int(n), "accuracy": share}
            for name, n, share in zip(data.classes, images_k, shares, strict=True)
        ],
    }


def beside(found: Mapping[str, Any]) -> str:
    """What to read beside the accuracy of :func:`figures`, in words."""
    largest = found["largest_class"]
    mean = f"mean over the classes {found['balanced_accuracy']:.2%}"
    return f"{mean}; always answering {largest['name']} gives {largest['share']:.2%}"
