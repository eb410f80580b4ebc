"""The embedded data set: the handwritten digits in scikit-learn's package."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
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
    values_nd = torch.from_numpy(_table())
    labels = values_nd[:, 64].long()
    pixels = values_nd[:, :64].view(-1, 1, 8, 8).mul(255 / _LARGEST).round().byte()
    images = Images(pixels, labels).resized(16)
    place = torch.empty_like(labels)  # index of an image within its class
    for label in labels.unique():
        members = labels == label
        place[members] = torch.arange(int(members.sum()))
    is_test = place % 5 == 4
    train, test = (images.select(chosen.nonzero().squeeze(1)) for chosen in (~is_test, is_test))
    return Source("digits", tuple(map(str, range(10))), train, test)


def _table() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """64 pixels and the label of every image (images, 65).

    The file is read without importing scikit-learn, which takes as long as building a supernet.
    """
    spec = find_spec("sklearn")
    assert spec is not None and spec.submodule_search_locations is not None  # it is a requirement
    with gzip.open(Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz"), "rt") as lines:
        return np.loadtxt(lines, delimiter=",", ndmin=2)
