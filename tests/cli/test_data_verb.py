"""``adarts data check``: the verdict, what is seen, and the agreement with the search and the doctor."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adarts.cli import doctor
from adarts.cli.main import main
from adarts.config.settings import ImageSettings, SearchConfig
from adarts.config.values import with_folder
from adarts.data import load_images
from adarts.data.check import check_data
from adarts.errors import DataError


def picture(seed: int, size: tuple[int, int] = (20, 12)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def smooth(seed: int) -> Image.Image:
    """A photograph of large spots."""
    return picture(seed, (5, 5)).resize((40, 40), Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes with one image of every kind."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    cat, dog = tmp_path / "photos/cat", tmp_path / "photos/dog"
    for number in range(30):
        picture(number).save(cat / f"{number}.png")
    for number in range(30, 32):
        picture(number).save(dog / f"{number}.png")
    picture(40).convert("L").save(cat / "gray.png")
    picture(41).quantize(16).save(cat / "palette.gif")
    picture(42).convert("CMYK").save(cat / "print.jpg")
    picture(43).convert("RGBA").save(cat / "clear.png")
    Image.fromarray(np.arange(240, dtype=np.uint16).reshape(12, 20) * 200).save(cat / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(44, (12, 20)).save(cat / "turned.jpg", exif=exif)
    picture(45).save(cat / "moving.gif", save_all=True, append_images=[picture(46)])
    picture(0).save(dog / "equal.bmp")
    return tmp_path / "photos"


def check(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["data", "check", *map(str, words)])
    return code, capsys.readouterr().out


def test_what_is_seen(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = check(capsys, photos)
    assert code == 0
    assert said.startswith(f"A search would run on folder:{photos}: 40 images in 2 classes, with ")
    for line in (
        "remark    1 image equal to another one, such as dog/equal.bmp to cat/0.png",
        "remark    1 image in two classes at once, such as cat/0.png and dog/equal.bmp",
        "formats   PNG 35, GIF 2, JPEG 2, BMP 1",
        "sizes     smallest 12x20, median 20x12, largest 20x12",
        "turned    1 upright by their EXIF data",
        "animated  1, of which the first picture is used",
    ):
        assert line in said
    _, text = check(capsys, photos, "--json")
    found = json.loads(text)
    assert found["usable"] and found["duplicates"] == [["cat/0.png", "dog/equal.bmp"]]
    pixels = {"RGB": 34, "palette": 2, "gray": 1, "CMYK": 1, "RGB, transparent": 1, "I;16": 1}
    assert found["files"]["pixels"].items() >= pixels.items() and found["files"]["gray"] == 2
    assert sum(one["train"] + one["test"] for one in found["classes"]) == 40
    assert found["fingerprint"] == load_images(f"folder:{photos}", ImageSettings(), 0).fingerprint


def test_nearly_equal_images_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A photograph that is compressed anew in the test set, one that is brighter in another class, one saved twice."""
    pytest.importorskip("imagehash")
    for part, counts in (("train", 6), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(counts):
                smooth(100 * label + 10 * counts + number).save(tmp_path / part / name / f"{number}.png")
    smooth(60).save(tmp_path / "test/cat/again.jpg", quality=60)
    smooth(160).point(lambda value: min(255, value + 25)).save(tmp_path / "train/cat/bright.png")
    smooth(162).save(tmp_path / "train/dog/same.png")
    code, said = check(capsys, tmp_path)
    assert code == 0 and "1 image equal to another one, such as train/dog/same.png to train/dog/2.png" in said
    assert "1 image of the test nearly equal to a training image, such as test/cat/again.jpg to train/cat/0.png" in said
    assert "1 image nearly equal to one of another class, such as train/dog/0.png to train/cat/bright.png" in said
    found = json.loads(check(capsys, tmp_path, "--json")[1])["near_duplicates"]
    assert [one["parts"] for one in found] == [["train", "train"], ["test", "train"]]


def test_a_missing_package_is_named(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    assert "pip install 'adarts[near]'" in check(capsys, photos)[1]
    assert json.loads(check(capsys, photos, "--json")[1])["near_duplicates"] is None


def test_unequal_classes_are_a_remark(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "remark    unequal classes: " in check(capsys, photos)[1]
    assert "training images of cat" in check(capsys, photos)[1]


def test_all_problems_at_once_and_as_the_search_says_them(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "cow").mkdir()
    (photos / "pig").mkdir()
    picture(9).save(photos / "pig/one.png")
    (photos / "cat/empty.png").touch()
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    parts = [struct.pack(">I", len(x)) + kind + x + struct.pack(">I", zlib.crc32(kind + x)) for kind, x in chunks]
    (photos / "cat/bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    whole = (photos / "cat/1.png").read_bytes()
    (photos / "cat/1.png").write_bytes(whole[: len(whole) // 2])
    code, said = check(capsys, photos)
    assert code == DataError.exit_code
    assert said.startswith(f"A search would refuse folder:{photos}: 2 problems.")
    with pytest.raises(DataError) as caught:
        load_images(f"folder:{photos}", ImageSettings(), 0)
    assert str(caught.value) == f"{photos}: " + "; ".join(check_data(f"folder:{photos}", ImageSettings()).problems)
    assert "in the classes cow, pig" in said and "3 of 43 images cannot be read" in said
    assert main(["doctor", "--data", f"folder:{photos}"]) == 0
    seen = " ".join(capsys.readouterr().out.split())
    assert "2 problems: 3 of 43 images" in seen and "cow, pig" in seen
    left_out = json.loads(check(capsys, photos, "--json")[1])["left_out"]
    assert {one["file"]: one["reason"].split(":")[0] for one in left_out} == {
        "cat/1.png": "image file is truncated", "cat/bomb.png": "a decompression bomb", "cat/empty.png": "an empty file",
    }  # fmt: skip
    code, said = check(capsys, photos, "--max-broken", "3")
    assert code == DataError.exit_code and "1 problem." in said and "left out cat/empty.png: an empty file" in said


def test_other_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = check(capsys, "digits")
    assert code == 0 and said.startswith("A search would run on digits: 1,797 images in 10 classes.")
    code, said = check(capsys, "cifar10", "--root", tmp_path)
    assert code == DataError.exit_code and "data_batch_1 is missing" in said
    for nowhere in (f"folder:{tmp_path}/nowhere", tmp_path / "nowhere"):
        code, said = check(capsys, nowhere)
        assert code == DataError.exit_code and f"no folder {tmp_path}/nowhere" in said
    assert main(["data", "photos"]) == 2
    assert "adarts data check photos" in capsys.readouterr().err


def test_the_doctor_sees_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_text("x")
    assert doctor.run(["--root", str(tmp_path)]) == 0
    seen = " ".join(capsys.readouterr().out.split())
    assert "data cifar10 warn" in seen and "data_batch_1 is damaged" in seen


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("./photos", "folder:./photos"), ("~/photos", "folder:~/photos"), ("a/b", "folder:a/b"), ("..", "folder:.."),
        ("digits", "digits"), ("folder:a/b", "folder:a/b"), ("svhn:a/b", "svhn:a/b"), ("a/b.py:load", "a/b.py:load"),
        ("a/b.py", "a/b.py"), ("./labels.csv", "folder:./labels.csv"),
    ],
)  # fmt: skip
def test_a_path_is_a_folder(given: str, meant: str) -> None:
    assert with_folder(given) == SearchConfig(data=given).data == meant


def test_a_folder_without_prefix_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos.parent)
    assert main(["search", "--data", "photos", "--scale", "smoke"]) == 2
    assert "did you mean 'folder:photos'?" in capsys.readouterr().err
