"""The figures of a test."""

import pytest
import torch

from adarts.data import ImageData, Images
from adarts.training.results import beside, figures


def test_figures_by_class() -> None:
    labels = torch.tensor([0] * 8 + [1] * 2)
    images = Images(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), labels)
    data = ImageData("x", ("healthy", "sick", "unseen"), images, images, (0.5,), (0.5,))
    found = figures(data, 0.3, 0.8, torch.tensor([0] * 7 + [1, 1, 0]))
    assert [one["accuracy"] for one in found["test_classes"]] == [0.875, 0.5, None]
    assert [one["images"] for one in found["test_classes"]] == [8, 2, 0]
    assert found["balanced_accuracy"] == pytest.approx((0.875 + 0.5) / 2)
    assert beside(found) == "mean over the classes 68.75%; always answering healthy gives 80.00%"
