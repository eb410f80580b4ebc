"""Every method begins its search at every scale: batches, supernet, phases and cells fit together."""

from functools import cache

import pytest
import torch

from adarts.config.loading import SCALES
from adarts.config.settings import ImageSettings
from adarts.data import ImageData, load_images
from adarts.methods import create, list_methods
from adarts.searching import SearchTask, search_config

#: few and small, but enough for the largest batch, the 256 of GDAS: a half of the images must hold it
IMAGES = {"per_class": 52, "size": 8}


@cache
def images(settings: ImageSettings) -> ImageData:
    return load_images("digits", settings, 0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("method", [info.name for info in list_methods()])
def test_a_search_begins(method: str, scale: str) -> None:
    config = search_config(data="digits", method=method, scale=scale, images=IMAGES)
    search = SearchTask(config, images(config.images), create(config), torch.device("cpu"))
    assert search.steps(0) > 0
    assert search.epochs == sum(phase.epochs for phase in search.phases) >= config.search.epochs
