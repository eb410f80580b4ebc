"""The embedded data set: the handwritten digits in scikit-learn's package."""

from __future__ import annotations

import torch

from adarts.config.settings import ImageSettings
from adarts.data.images import Images
from adarts.data.source import Source

_LARGEST = 16
"""Value of the darkest pixel."""


def load_digits(settings: ImageSettings) -> Source:
    """Load 1,797 gray images of 8x8 pixels, scaled to 16x16; ignores the settings.

    Every fifth image of a class is a test image, so the split is the same everywhere and nearly equal by class. Source: Alpaydin
    and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998; scikit-learn carries a part.
    """
    from sklearn import datasets  # a slow import, needed only here

    digits = datasets.load_digits()
    labels = torch.from_numpy(digits.target)
    pixels = torch.from_numpy(digits.images).mul(255 / _LARGEST).round().byte()
    images = Images(pixels.unsqueeze(1), labels).resized(16)
    place = torch.empty_like(labels)  # index of an image within its class
    for label in labels.unique():
        members = labels == label
        place[members] = torch.arange(int(members.sum()))
    is_test = place % 5 == 4
    train, test = (images.select(chosen.nonzero().squeeze(1)) for chosen in (~is_test, is_test))
    return Source("digits", tuple(str(name) for name in digits.target_names), train, test)
