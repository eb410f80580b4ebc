"""The embedded data set: the handwritten digits that scikit-learn has in its package."""

from __future__ import annotations

import torch

from adarts.config.settings import ImageSettings
from adarts.data.images import Images
from adarts.data.source import Source

_LARGEST = 16
"""Value of the darkest pixel."""


def load_digits(settings: ImageSettings) -> Source:
    """1,797 gray images of 8x8 pixels, scaled to 16x16, whatever the settings.

    Every fifth image of a class is a test image, so the split is the same everywhere and nearly equal by class. Source: Alpaydin
    and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; scikit-learn carries a part.
    """
    from sklearn import datasets  # takes a second, which the other sources need not wait for

    digits = datasets.load_digits()
    labels = torch.from_numpy(digits.target)
    pixels = torch.from_numpy(digits.images).mul(255 / _LARGEST).round().byte()
    images = Images(pixels.unsqueeze(1), labels).resized(16)
    place = torch.empty_like(labels)  # of an image among those of its class
    for label in labels.unique():
        members = labels == label
        place[members] = torch.arange(int(members.sum()))
    is_test = place % 5 == 4
    train, test = (images.select(chosen.nonzero().squeeze(1)) for chosen in (~is_test, is_test))
    return Source("digits", tuple(str(name) for name in digits.target_names), train, test)
