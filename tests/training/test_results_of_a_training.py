"""The figures of a test, and what a network confuses."""

import base64
import io
from itertools import product

import pytest
import torch
from PIL import Image

from adarts.data import ImageData, Images
from adarts.training.heat import HeatMaps
from adarts.training.results import MISTAKES, Answers, beside, details, figures

CLASSES = "healthy", "sick", "unseen"


def data(count: int, channels: int = 1, files: bool = True) -> ImageData:
    labels = torch.tensor([0] * (count - 2) + [1] * 2)
    pixels = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, channels, 4, 2)
    images = Images(pixels, labels, tuple(f"{n}.png" for n in range(count)) if files else ())
    return ImageData("x", CLASSES, images, images, (0.5,) * channels, (0.5,) * channels)


def test_figures_by_class() -> None:
    found = figures(data(10), Answers(0.3, 0.8, torch.tensor([0] * 7 + [1, 1, 0]), torch.ones(10)))
    assert [one["accuracy"] for one in found["test_classes"]] == [0.875, 0.5, None]
    assert [one["precision"] for one in found["test_classes"]] == [0.875, 0.5, None]
    assert [one["images"] for one in found["test_classes"]] == [8, 2, 0]
    assert found["balanced_accuracy"] == pytest.approx((0.875 + 0.5) / 2)
    assert beside(found) == "mean over the classes 68.75%; always answering healthy gives 80.00%"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_most_confident_mistakes_are_kept_with_their_pictures(channels: int) -> None:
    predicted, confidence = torch.tensor([0] * 7 + [1, 1, 0]), torch.linspace(0.5, 0.95, 10)
    found = details(data(10, channels), Answers(0.3, 0.8, predicted, confidence), HeatMaps(problem="no maps"))
    assert found["confused"] == [[0, 0, 7], [0, 1, 1], [1, 0, 1], [1, 1, 1]]
    assert [(one["file"], one["true"], one["predicted"]) for one in found["mistakes"]] == [
        ("9.png", 1, 0),
        ("7.png", 0, 1),
    ]
    picture = Image.open(io.BytesIO(base64.b64decode(found["mistakes"][0]["png"])))
    assert picture.size == (2, 4) and picture.getpixel((0, 0)) in (9, (9, 9, 9))
    assert found["no_heat"] == "no maps" and [one["heat"] for one in found["mistakes"]] == [None, None]


def test_a_bounded_number_of_mistakes_is_kept() -> None:
    answers = Answers(0.3, 0.0, torch.full((40,), 2), torch.linspace(0, 1, 40))
    found = details(data(40, files=False), answers, HeatMaps())
    assert len(found["mistakes"]) == MISTAKES and found["mistakes"][0]["file"] == "test image 39"
    assert found["confused"] == [[0, 2, 38], [1, 2, 2]]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_heat_map_lies_on_the_gray_picture(channels: int) -> None:
    answers = Answers(0.3, 0.8, torch.tensor([0] * 7 + [1, 1, 0]), torch.linspace(0.5, 0.95, 10))
    maps = torch.zeros(4, 2), torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    nowhere, corner = (one["heat"] for one in details(data(10, channels), answers, HeatMaps(maps))["mistakes"])
    assert (nowhere["where"], corner["where"]) == ("", "bottom right")
    plain, hot = (Image.open(io.BytesIO(base64.b64decode(one["png"]))) for one in (nowhere, corner))
    assert plain.getcolors() == [(8, (9, 9, 9))]
    changed = [place for place in product(range(2), range(4)) if hot.getpixel(place) != (7, 7, 7)]
    red, green, blue = hot.getpixel((1, 3))
    assert changed == [(1, 3)] and red > green > blue
