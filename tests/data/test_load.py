"""The sources by name: the embedded photographs, CIFAR, and what is said when one is not there."""

import hashlib
import pickle
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from adarts.config.settings import ImageSettings
from adarts.data import Augmentation, Images, load_images
from adarts.data import memory as memory_module
from adarts.data.images import ImageData, shared_images, statistics
from adarts.errors import ConfigError, DataError

REAL = Path(__file__).parents[2] / "data"


def test_signs() -> None:
    data = load_images("signs", ImageSettings(), seed=0)
    assert (len(data.train), len(data.test), data.num_classes) == (1653, 409, 10)
    assert (data.image_size, data.in_channels) == ((32, 32), 3)
    assert torch.bincount(data.train.labels).tolist() == [164, 165, 165, 165, 166, 166, 166, 165, 167, 164]
    again = load_images("signs", ImageSettings(), seed=1)
    assert data.fingerprint == again.fingerprint
    assert dict(data.facts())["test part"] == "409 images, 40 to 41 a class"


@pytest.mark.parametrize(("part", "columns", "last"), [("train", 57, 1652), ("test", 21, 408)])
def test_photographs_are_cut_out_of_their_places(part: str, columns: int, last: int) -> None:
    images: Images = getattr(load_images("signs", ImageSettings(), seed=0), part)
    with Image.open(resources.files("adarts.data") / "signs" / f"{part}.webp") as sheet:
        for index in (0, 1, columns - 1, columns, last):
            top, left = index // columns * 32, index % columns * 32
            photograph = np.asarray(sheet.convert("RGB").crop((left, top, left + 32, top + 32)))
            assert np.array_equal(images.pixels[index].permute(1, 2, 0).numpy(), photograph)


def test_mean_and_std_are_those_of_the_training_part() -> None:
    data = load_images("signs", ImageSettings(), seed=0)
    std, mean = torch.std_mean(data.train.pixels.double() / 255, dim=(0, 2, 3), correction=0)
    assert data.mean == pytest.approx(mean.tolist())
    assert data.std == pytest.approx(std.tolist())
    indices = torch.arange(len(data.train))[:, None].expand(-1, Augmentation.NUM_DRAWS)
    normalized = Augmentation.plain(data)(data.train.pixels, indices)
    assert normalized.mean().abs() < 1e-4 and (normalized.std() - 1).abs() < 1e-3


def test_a_channel_of_one_value_is_not_divided_by_nothing() -> None:
    mean, std = statistics(Images(torch.full((2, 1, 3, 3), 51, dtype=torch.uint8), torch.zeros(2)))
    assert (mean, std) == ((0.2,), (1.0,))


def test_per_class_reduces_the_training_part_only_and_says_so() -> None:
    data = load_images("signs", ImageSettings(per_class=7), seed=0)
    assert torch.bincount(data.train.labels).tolist() == [7] * 10
    assert len(data.test) == 409
    assert any("70 of 1,653" in note for note in data.notes)
    assert data.fingerprint != load_images("signs", ImageSettings(per_class=7), seed=1).fingerprint


def test_size_scales_a_named_set() -> None:
    data = load_images("signs", ImageSettings(size=16, per_class=5), seed=0)
    assert data.image_size == (16, 16)
    assert data.train.pixels.shape == (50, 3, 16, 16)
    assert any("scaled to 16x16" in note for note in data.notes)


def test_images_shared_by_both_parts_are_noted() -> None:
    part = load_images("signs", ImageSettings(per_class=1), seed=0).train
    assert shared_images(part, part) == 10
    assert shared_images(part, Images(255 - part.pixels, part.labels)) == 0


def test_the_fingerprint_sees_pixels_and_labels() -> None:
    def fingerprint(pixels: torch.Tensor, labels: list[int]) -> str:
        images = Images(pixels, torch.tensor(labels))
        return ImageData("x", ("a", "b"), images, images, (0.5,), (0.5,)).fingerprint

    zeros = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    assert len({fingerprint(zeros, [0, 1]), fingerprint(zeros, [1, 0]), fingerprint(zeros + 1, [0, 1])}) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cifer10", "did you mean 'cifar10'"),
        ("folder:", "needs the path"),
        ("folder", "needs the path"),
        ("signs:3", "data set 'signs' takes nothing behind a colon"),
        ("dataset:mine-0123", "given as an object in Python; go on from there: adarts.search"),
        ("", "known: cifar10, cifar100, folder, signs"),
    ],
)
def test_an_unknown_source(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_images(source, ImageSettings(), seed=0)
    assert "\n" not in str(caught.value)


def test_a_set_larger_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "available_memory", lambda: 10**6)
    with pytest.raises(DataError, match=r"need .* GiB of memory.*--images\.size"):
        load_images("signs", ImageSettings(size=64), seed=0)


def test_the_machine_tells_its_memory() -> None:
    available = memory_module.available_memory()
    assert available is None or available > 2**20


# CIFAR


@pytest.mark.parametrize(("name", "first"), [("cifar10", "data_batch_1"), ("cifar100", "train")])
def test_missing_files_are_named(tmp_path: Path, name: str, first: str) -> None:
    with pytest.raises(DataError, match=rf"{first} is missing.*--images\.root.*--download"):
        load_images(name, ImageSettings(root=tmp_path), seed=0)


def test_a_file_with_another_checksum_is_never_unpickled(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "opened",))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match=r"data_batch_1 is damaged"):
        load_images("cifar10", ImageSettings(root=tmp_path), seed=0)
    assert not (tmp_path / "opened").exists()


def test_a_download_is_announced_and_its_failure_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: datasets.CIFAR10) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(datasets.CIFAR10, "download", fail)
    with pytest.raises(DataError, match="no network"):
        load_images("cifar10", ImageSettings(root=tmp_path, download=True), seed=0)
    assert "downloading 170 MB from https://" in caplog.text


def test_small_files_of_the_same_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through torchvision, with files of a few images and their own checksums."""
    reader, random = datasets.CIFAR10, np.random.default_rng(0)
    folder = tmp_path / reader.base_folder
    folder.mkdir()

    def write(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def part(count: int) -> dict[str, object]:
        return {"data": random.integers(0, 256, (count, 3072), dtype=np.uint8), "labels": list(range(count))}

    meta = write("batches.meta", {"label_names": list("abcd")})
    monkeypatch.setattr(reader, "train_list", [write("data_batch_1", part(4))])
    monkeypatch.setattr(reader, "test_list", [write("test_batch", part(2))])
    monkeypatch.setattr(reader, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    data = load_images("cifar10", ImageSettings(root=tmp_path), seed=0)
    assert (len(data.train), len(data.test), data.classes) == (4, 2, ("a", "b", "c", "d"))
    assert data.mean == (0.49139968, 0.48215827, 0.44653124)
    assert data.train.labels.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(not (REAL / "cifar-10-batches-py").is_dir(), reason="CIFAR-10 is not in data/")
def test_real_cifar10() -> None:
    data = load_images("cifar10", ImageSettings(root=REAL), seed=0)
    assert (len(data.train), len(data.test)) == (50_000, 10_000)
    assert torch.bincount(data.train.labels).tolist() == [5000] * 10
    mean, std = statistics(data.train)
    assert mean == pytest.approx(data.mean, abs=1e-6) and std == pytest.approx(data.std, abs=1e-6)
