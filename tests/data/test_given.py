"""Images given as objects: data sets and arrays, names for them, and what is said of those that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

import adarts
from adarts.cli.main import main
from adarts.config.settings import ImageSettings
from adarts.data import as_source, load_images, register_data, settings_of
from adarts.data.load import DATA
from adarts.errors import CheckpointError, ConfigError, DataError
from adarts.training import evaluate

PIXELS = torch.randint(0, 256, (48, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(48) % 2
TINY: dict[str, Any] = {"scale": "smoke", "images": {"size": 8}}


class Photos(Dataset[Any]):
    """Items as torchvision's sets have them, with what a transform makes of the images."""

    classes = ("cat", "dog", "never")

    def __init__(self, transform: Any = lambda x: x, count: int = 48) -> None:
        self.transform, self.count = transform, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(PIXELS[index]), int(LABELS[index])


def pil(x_chw: torch.Tensor) -> Image.Image:
    return Image.fromarray(x_chw.permute(1, 2, 0).numpy())


FORMS = {
    "PIL": Photos(pil),
    "uint8 tensor": Photos(),
    "float tensor": Photos(lambda x: x / 255),
    "channels last": Photos(lambda x: x.permute(1, 2, 0).numpy()),
    "TensorDataset": TensorDataset(PIXELS, LABELS),
    "a list": [(pil(x), int(y)) for x, y in zip(PIXELS, LABELS, strict=True)],
    "arrays": (PIXELS.permute(0, 2, 3, 1).numpy(), LABELS.numpy()),
    "tensors": (PIXELS, LABELS),
    "floats and a list": (PIXELS.double().numpy() / 255, LABELS.tolist()),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_images(form: str) -> None:
    source = as_source(FORMS[form])
    assert torch.equal(source.train.pixels, PIXELS) and torch.equal(source.train.labels, LABELS)
    assert source.test is None
    assert source.classes == (("cat", "dog") if isinstance(FORMS[form], Photos) else ("0", "1"))
    assert source.reference.split("-")[1] == as_source(FORMS["tensors"]).reference.split("-")[1]
    data = load_images(source, ImageSettings(test_fraction=0.25), seed=3)
    assert len(data.train) + len(data.test) == 48 and 6 <= len(data.test) <= 18
    assert data.fingerprint == load_images(source, ImageSettings(test_fraction=0.25), seed=4).fingerprint


def test_a_pair_is_training_and_test() -> None:
    for pair in (
        (Photos(), Photos(count=4)),
        ((PIXELS, LABELS), (PIXELS[:4], LABELS[:4])),
        (Photos(), (PIXELS[:4], LABELS[:4])),
    ):
        data = load_images(as_source(pair), ImageSettings(), seed=0)
        assert (len(data.train), len(data.test)) == (48, 4)
    assert as_source(Subset(Photos(), range(10))).classes == ("cat", "dog")
    gray = as_source((PIXELS[:, 0], LABELS)).train
    assert gray.pixels.shape == (48, 1, 8, 6) and torch.equal(gray.pixels[:, 0], PIXELS[:, 0])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


def one_item(item: Any) -> list[Any]:
    return [(PIXELS[0], 0), (PIXELS[1], 1), item]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Stream(), "must be a map-style data set with len() and [index], not a Stream"),
        (7, "must be a map-style data set"),
        ({"image": 1}, "no part is called train, validation or test: image"),
        ({"train": 1}, "must be a map-style data set"),
        ([], "the data set is empty"),
        (one_item({"image": PIXELS[0]}), "item 2 has none of the columns label, labels, fine_label; it has image"),
        (one_item((PIXELS[0], 0, 1)), "item 2 must be (image, label), not a tuple of 3"),
        ([Photos(), Photos()], "give two data sets as a tuple (train, test)"),
        (one_item((PIXELS[0], 0.5)), "item 2 has the label 0.5; labels must be whole numbers from 0"),
        (one_item((PIXELS[0], -1)), "item 2 has the label -1"),
        (one_item((PIXELS[0], "cat")), "item 2 has the label 'cat'"),
        (one_item(("photo.png", 0)), "an image must be a PIL image or an array, not a str"),
        (
            one_item((PIXELS[0, :, :5], 0)),
            "item 2 is 3 x 5 x 6 (channels x height x width), but item 0 is 3 x 8 x 6; resize",
        ),
        (
            one_item((torch.linspace(-1, 1, 144).view(3, 8, 6), 0)),
            "item 2: values from -1 to 1; give uint8, or floats from 0 to 1",
        ),
        (one_item((PIXELS[0].float(), 0)), "give uint8, or floats from 0 to 1; do not normalize"),
        (one_item((PIXELS[0] * float("nan"), 0)), "values from nan to nan"),
        (one_item((PIXELS[0].long(), 0)), "pixels must be uint8, or floats from 0 to 1, not torch.int64"),
        (one_item((torch.zeros(5, 5, 5), 0)), "no axis of (5, 5, 5) can be the channels"),
        (one_item((torch.zeros(5), 0)), "an image must have 2 or 3 axes, not 1"),
        (Photos(lambda x: 1 / 0), "item 0 cannot be read: ZeroDivisionError"),
        ((PIXELS, LABELS[:3]), "one whole number for each of 48 images"),
        ((PIXELS, LABELS.float()), "one whole number for each of 48 images"),
        ((PIXELS, LABELS - 1), "a label is negative"),
        ((PIXELS, LABELS * 0), "only one class"),
        ((PIXELS, LABELS * 10**9), "no training image of class 1, 2, 3"),
        ((Photos(), Photos(), Photos()), "one data set, or a pair (train, test), not 3"),
        ((Photos(), (PIXELS[:, :, :7], LABELS)), "the training images are 3 x 8 x 6"),
        (
            (Photos(), (1, 2)),
            "the test images must be a data set, or a pair of arrays (images, labels), not a tuple of 2",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(data: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        as_source(data)
    assert message in str(caught.value) and "\n" not in str(caught.value)


class Encoded:
    """The names of a label, as Hugging Face's ``ClassLabel`` has them."""

    names = ("cat", "dog")


class Rows:
    """Items as Hugging Face's data sets have them: mappings, and columns described in ``features``."""

    def __init__(self, images: list[Image.Image], label: str = "label") -> None:
        self.images, self.label = images, label
        self.features = {"image": object(), label: Encoded()}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.images[index], self.label: index % 2}


def test_rows_of_hugging_face() -> None:
    images = [pil(x) for x in PIXELS]
    source = as_source(Rows(images))
    assert source.classes == ("cat", "dog") and torch.equal(source.train.pixels, PIXELS)
    source = as_source({"train": Rows(images, "labels"), "validation": Rows(images[:6]), "test": Rows(images[:4])})
    assert source.test is not None and (len(source.train), len(source.test)) == (54, 4)
    assert source.notes == ("'validation' is added to the training images; 'test' is the test set",)
    source = as_source({"train": Rows(images), "validation": Rows(images[:6]), "unsupervised": Rows(images)})
    assert source.test is not None and len(source.test) == 6
    assert source.notes == ("passed over the part 'unsupervised'", "'validation' is the test set")
    for data, message in (
        ({"a": Rows(images)}, "no part is called train, validation or test: a"),
        (Rows(images, "kind"), "item 0 has none of the columns label, labels, fine_label; it has image, kind"),
        ([{"image": images[0], "label": "cat"}], "use class_encode_column"),
    ):
        with pytest.raises(DataError, match=message):
            as_source(data)


def test_pil_images_of_different_sizes_are_scaled_as_those_of_a_folder() -> None:
    sizes = [(80, 40), (70, 90), (64, 64), (100, 100)]
    images = [Image.new("RGB" if n else "L", size, "white") for n, size in enumerate(sizes)]
    source = as_source((Rows(images), Rows(images[2:3])))
    assert (
        source.test is not None
        and source.train.pixels.shape == (4, 3, 64, 64)
        and source.test.pixels.shape[2:] == (64, 64)
    )
    mixed, scaled = source.notes
    assert "gray and read as RGB" in mixed and scaled == "images of different sizes scaled and center-cropped to 64x64"
    arrays = [(np.zeros((size[1], size[0], 3), np.uint8), n % 2) for n, size in enumerate(sizes)]
    with pytest.raises(DataError, match="resize them in the data set"):
        as_source(arrays)


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_gray_pil_images_stay_gray_and_become_rgb_beside_colors(mode: str) -> None:
    value = 257 * 255 if mode == "I;16" else 255
    gray = [Image.new(mode, (8, 8), value)] * 4
    source = as_source(Rows(gray))
    assert source.train.pixels.shape == (4, 1, 8, 8) and (source.train.pixels == 255).all()
    assert not source.notes
    color = Image.new("RGB", (8, 8), (255, 0, 0))
    for source in (as_source(Rows([*gray, color])), as_source((Rows(gray), Rows([color, color])))):
        assert source.train.pixels.shape[1] == 3 and (source.train.pixels[0] == 255).all()
        assert source.notes == ("some images are gray and read as RGB",)


def test_a_data_set_is_searched_trained_and_continued_from_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run: dict[str, Any] = {"run_dir": tmp_path / "search"}
    found = adarts.search(data=Photos(pil), run=run, search={"batch_size": 8}, **TINY)
    assert found.summary["data"].startswith("dataset:Photos-")
    (found.run_dir / "summary.json").unlink()  # as if it had been killed at the end
    again = {"config_file": found.run_dir / "config.yaml", "run": run}
    assert adarts.search(data=Photos(), **again).genotype == found.genotype  # the same images by another way
    (found.run_dir / "summary.json").unlink()
    with pytest.raises(CheckpointError, match="data differ"):
        adarts.search(data=(PIXELS, 1 - LABELS), **again)
    capsys.readouterr()
    assert main(["search", "--config", str(again["config_file"]), "--run-dir", str(found.run_dir)]) == 2
    message = capsys.readouterr().err
    assert "was given as an object in Python; continue there" in message and message.count("\n") == 1

    trained = adarts.train(
        found.genotype, data=(Photos(), Photos(count=8)), run={"run_dir": tmp_path / "train"}, **TINY
    )
    measured = evaluate(trained.run_dir, data=(Photos(), Photos(count=8)))
    assert measured["test_images"] == 8 and measured["test_accuracy"] == trained.test_accuracy
    with pytest.raises(ConfigError, match="was trained on the data 'dataset:Photos-"):
        evaluate(trained.run_dir, data=Photos())


def test_a_registered_name_and_a_loader_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATA, "known", dict(DATA.known))
    register_data("photos", lambda settings, count="24": Photos(count=int(count)))
    assert len(load_images("photos:20", ImageSettings(), seed=0).test) == 3
    assert load_images("photos", ImageSettings(), seed=0).name == "photos"
    with pytest.raises(DataError, match="data set 'photos:many' cannot be loaded: ValueError"):
        load_images("photos:many", ImageSettings(), seed=0)
    for name, loader, error in (("photos", Photos, ValueError), ("a:b", Photos, ValueError), ("new", 3, TypeError)):
        with pytest.raises(error):
            register_data(name, loader)
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n\ndef squares(settings):\n    return np.zeros((8, 4, 4, 3), np.uint8), [0, 1] * 4\n"
    )
    assert load_images(f"{file}:squares", ImageSettings(), seed=0).num_classes == 2
    with pytest.raises(ConfigError, match=f"data set '{file}:np': .* is not a function"):
        load_images(f"{file}:np", ImageSettings(), seed=0)


def test_a_loader_in_a_file_is_executed_for_whoever_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "import numpy as np\n\ndef squares(settings):\n"
    text += "    return np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8), [0, 1] * 20\n"
    Path("mine.py").write_text(text)
    words = ["train", "--genotype", "random:0", "--data", "mine.py:squares", "--scale", "smoke", "--images.size", "8"]
    assert main([*words, "--run-dir", "run"]) == 0
    assert main(["evaluate", "run"]) == 2
    assert "executed only if you add: --data mine.py:squares" in capsys.readouterr().err
    assert main(["evaluate", "run", "--data", "mine.py:squares"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("test accuracy")
    with pytest.raises(ConfigError, match=r"data 'mine\.py:squares' is code"):
        adarts.train(config_file="run/config.yaml", run={"run_dir": "run"})
    assert np.unique(load_images("mine.py:squares", ImageSettings(), seed=0).train.labels).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ((), "one data set, or a pair"),
        ((np.zeros((4, 8, 0, 3), np.uint8), [0, 1, 0, 1]), "an image of 8 x 0 pixels is empty"),
        ((np.zeros((2, 8, 8, 3), np.uint8), ["cat", "dog"]), "the labels must be numbers"),
        ((np.array([object(), object()]), [0, 1]), "the pixels must be numbers"),
    ],
)
def test_what_torch_cannot_take_is_refused_in_one_line(data: object, problem: str) -> None:
    with pytest.raises(DataError, match=f"^data.*{problem}[^\n]*$"):
        as_source(data)


def test_reversed_channels_and_small_labels_are_taken() -> None:
    """A BGR image turned to RGB is a view with a negative stride; labels are often of few bytes."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    found = as_source((pixels[..., ::-1], np.array([0, 1] * 4, np.uint16)))
    expected = as_source((pixels[..., ::-1].copy(), [0, 1] * 4))
    assert torch.equal(found.train.pixels, expected.train.pixels) and torch.equal(
        found.train.labels, expected.train.labels
    )


def test_a_package_brings_image_settings_with_its_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DATA, "known", dict(DATA.known))
    about = tmp_path / "letters-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[adarts.data]\nletters = letters_of_mine:load\n")
    (tmp_path / "letters_of_mine.py").write_text(
        "from adarts.data import register_data\n\n\ndef load(settings):\n    raise OSError\n\n\n"
        "register_data('letters', load, {'flip': False})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert settings_of("letters") == {"images": {"flip": False}}
    assert settings_of("nothing of the kind") == {"images": {}}
