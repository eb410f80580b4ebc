"""Data sets by name: the embedded digits, CIFAR, and the messages for missing ones."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets
from torchvision import datasets as of_torchvision

from adarts.config.settings import ImageSettings
from adarts.data import Augmentation, Images, load_images
from adarts.data import memory as memory_module
from adarts.data.images import ImageData, shared_images, statistics
from adarts.errors import ConfigError, DataError

REAL = Path(__file__).parents[2] / "data"


def test_digits() -> None:
    data = load_images("digits", ImageSettings(), seed=0)
    assert (len(data.train), len(data.test), data.num_classes) == (1442, 355, 10)
    assert (data.image_size, data.in_channels) == ((16, 16), 1)
    assert data.fingerprint == load_images("digits", ImageSettings(), seed=1).fingerprint
    assert dict(data.facts())["test part"] == "355 images, 34 to 36 per class"
    assert shared_images(data.train, data.test) == 0


def test_every_fifth_digit_of_a_class_is_a_test_image() -> None:
    """Halved again, every image resembles the digit of scikit-learn in its place."""
    digits = datasets.load_digits()
    data = load_images("digits", ImageSettings(size=8), seed=0)
    seen = [0] * 10
    is_test = []
    for label in digits.target.tolist():
        seen[label] += 1
        is_test.append(seen[label] % 5 == 0)
    for part, chosen in ((data.test, np.array(is_test)), (data.train, ~np.array(is_test))):
        assert part.labels.tolist() == digits.target[chosen].tolist()
        one, other = part.pixels.flatten(1).numpy(), digits.images[chosen].reshape(len(part), -1)
        likeness = np.corrcoef(one, other)[: len(part), len(part) :]
        assert likeness.diagonal().min() > 0.85 > np.median(likeness) + 0.2


def test_mean_and_std_are_those_of_the_training_part() -> None:
    data = load_images("digits", ImageSettings(), seed=0)
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
    data = load_images("digits", ImageSettings(per_class=7), seed=0)
    assert torch.bincount(data.train.labels).tolist() == [7] * 10
    assert len(data.test) == 355
    assert any("70 of 1,442" in note for note in data.notes)
    assert data.fingerprint != load_images("digits", ImageSettings(per_class=7), seed=1).fingerprint


def test_size_scales_a_named_set() -> None:
    data = load_images("digits", ImageSettings(size=12, per_class=5), seed=0)
    assert data.image_size == (12, 12)
    assert data.train.pixels.shape == (50, 1, 12, 12)
    assert any("scaled to 12x12" in note for note in data.notes)


def test_images_shared_by_both_parts_are_noted() -> None:
    part = load_images("digits", ImageSettings(per_class=1), seed=0).train
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
        ("folder:", "needs a path"),
        ("folder", "needs a path"),
        ("digits:3", "data set 'digits' takes no text after a colon"),
        ("dataset:mine-0123", "given as an object in Python; continue there with adarts.search"),
        ("", "known: cifar10, cifar100, digits, folder"),
    ],
)
def test_an_unknown_source(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_images(source, ImageSettings(), seed=0)
    assert "\n" not in str(caught.value)


def test_a_set_larger_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "available_memory", lambda: 10**6)
    with pytest.raises(DataError, match=r"need .* GiB of memory.*--images\.size"):
        load_images("digits", ImageSettings(size=64), seed=0)


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
    def fail(self: of_torchvision.CIFAR10) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(of_torchvision.CIFAR10, "download", fail)
    with pytest.raises(DataError, match="no network"):
        load_images("cifar10", ImageSettings(root=tmp_path, download=True), seed=0)
    assert "downloading 170 MB from https://" in caplog.text


def test_small_files_of_the_same_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through torchvision, with files of a few images and their own checksums."""
    reader, random = of_torchvision.CIFAR10, np.random.default_rng(0)
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
