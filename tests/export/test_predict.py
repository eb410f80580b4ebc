"""Predictions of files: the pixels of the training, broken images named, no torch for an ONNX file."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import adarts
from adarts.cli.main import main
from adarts.errors import ConfigError, DataError
from adarts.export.loaded import load
from adarts.export.predict import pixels_of
from adarts.training import images_of


def test_the_pixels_are_those_of_the_training(run: Path, photos: Path) -> None:
    """To the bit: every image that the network was trained or tested on is found again among the decoded files."""
    images, facts = images_of(run), load(run).facts
    known = {image.tobytes() for part in (images.train, images.test) for image in part.pixels.contiguous().numpy()}
    found = {np.ascontiguousarray(pixels_of(file, facts)).tobytes() for file in photos.rglob("*.jpg")}
    assert known < found and len(known) > 30


def test_run_and_file_agree(run: Path, onnx_file: Path, photos: Path) -> None:
    network, facts = adarts.load_model(run)
    of_run, of_file = adarts.predict(run, photos, top=2), adarts.predict(onnx_file, photos, top=2, threads=1)
    assert len(of_run) == len(of_file) == 60
    for one, other in zip(of_run, of_file, strict=True):
        assert one.image == other.image
        with torch.no_grad():
            share = network(adarts.prepare(one.image, facts)).softmax(1)[0]
        assert [guess.name for guess in one.guesses] == [
            facts["classes"][k] for k in share.argsort(descending=True)[:2]
        ]
        assert one.guesses[0].probability == pytest.approx(float(share.max()), abs=1e-6)
        assert one.guesses[0].probability == pytest.approx(other.guesses[0].probability, abs=1e-6)


def test_gray_images_of_a_gray_network(tmp_path: Path) -> None:
    """A network of one channel reads colors as their luma."""
    digits = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    trained = adarts.train("random:0", data=(digits, labels), scale="smoke", run={"run_dir": str(tmp_path / "run")})
    Image.fromarray(digits[0]).save(tmp_path / "gray.png")
    Image.fromarray(digits[0]).convert("RGB").save(tmp_path / "color.png")
    gray, color = adarts.predict(trained.run_dir, [tmp_path / "gray.png", tmp_path / "color.png"])
    assert gray.guesses == color.guesses and len(gray.guesses) == 2


def test_an_onnx_file_needs_no_torch(onnx_file: Path, photos: Path) -> None:
    code = (
        "import sys\nfrom adarts.cli.main import main\n"
        f"code = main(['predict', {str(onnx_file)!r}, {str(photos)!r}, '--json'])\n"
        "print([code, *sorted({'torch', 'torchvision', 'onnx'} & sys.modules.keys())], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split("\n")[0] == "[0]"
    assert len(json.loads(done.stdout)) == 60


def test_broken_images_are_named_and_the_others_predicted(
    onnx_file: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good.JPG"
    shutil.copy(next(photos.rglob("*.jpg")), good)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:300])
    (tmp_path / ".hidden.jpg").write_text("not looked at")
    (tmp_path / "notes.txt").write_text("not looked at")
    assert main(["predict", str(onnx_file), str(tmp_path), str(tmp_path / "gone.jpg"), "--csv"]) == 3
    said = capsys.readouterr()
    rows = {Path(row["image"]).name: row for row in csv.DictReader(io.StringIO(said.out))}
    assert set(rows) == {"good.JPG", "text.png", "cut.jpg", "gone.jpg"}
    assert rows["good.JPG"]["class_1"] in ("bird", "cat", "dog <b>") and rows["good.JPG"]["error"] == ""
    assert [rows[name]["error"] for name in ("text.png", "gone.jpg")] == ["not an image", "no such file"]
    *lines, last = said.err.splitlines()
    assert len(lines) == 3 and f"adarts: {tmp_path / 'text.png'}: not an image" in lines
    assert last == "adarts: 3 of 4 images cannot be read"


def test_a_table(onnx_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = next(photos.rglob("*.jpg"))
    assert main(["predict", str(onnx_file), str(file), "--top", "9"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "class", "%", "2.", "%", "3.", "%"]  # no more columns than classes
    (expected,) = adarts.predict(onnx_file, file)
    assert row.split()[:2] == [str(file), expected.guesses[0].name.split()[0]]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "needs images"),
        (["x.png", "--json", "--csv"], 2, "exclude each other"),
        (["x.png", "--top", "0"], 2, "top"),
        (["empty"], 3, "empty has no image files"),
        ([300 * "x" + ".png"], 3, "cannot be read: File name too long"),
    ],
)
def test_refusals(
    onnx_file: Path,
    tmp_path: Path,
    words: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert main(["predict", str(onnx_file), *words]) == code
    assert message in capsys.readouterr().err


def test_files_that_are_no_models(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    other, damaged = tmp_path / "other.onnx", tmp_path / "damaged.onnx"
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "other", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, other)
    damaged.write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a file of `adarts export`"):
        adarts.predict(other, "x.png")
    with pytest.raises(DataError, match="not a usable ONNX file"):
        adarts.predict(damaged, "x.png")
    with pytest.raises(DataError, match="no file"):
        adarts.predict(tmp_path / "gone.onnx", "x.png")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", ["a"]),
        ("classes", [1, 2, 3]),
        ("classes", 5),
        ("image_size", "ab"),
        ("image_size", [0, 5]),
        ("image_size", [17, 16]),
        ("in_channels", 1),
        ("std", [0, 1, 1]),
        ("test_accuracy", "x"),
        ("data", None),
    ],
)
def test_metadata_that_cannot_be_right(name: str, value: object, onnx_file: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(onnx_file)
    (entry,) = [entry for entry in model.metadata_props if entry.key == name]
    entry.value = json.dumps(value)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(DataError, match=r"its metadata (are damaged: .*cannot be right|do not fit its graph)"):
        load(tmp_path / "changed.onnx")


def test_top_is_positive_in_python(onnx_file: Path, photos: Path) -> None:
    with pytest.raises(ConfigError, match="top must be at least 1"):
        adarts.predict(onnx_file, photos, top=0)
