"""An ONNX file holds the trained network: the same answers, all that a user must know, nothing of the machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import adarts
from adarts.cli.main import main
from adarts.errors import ConfigError, DataError, ExportError
from adarts.export import export as export_module
from adarts.export.export import export
from adarts.export.loaded import OnnxModel
from adarts.export.parity import BATCHES, check, some
from adarts.export.trained import Trained
from adarts.training import images_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


@pytest.fixture
def copied(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports take the file of the first one, because torch needs seconds to write it once more."""

    def write(trained: Trained, path: Path) -> export_module.Answer:
        shutil.copy(onnx_file, path)
        return OnnxModel(path).logits

    monkeypatch.setitem(export_module._FORMATS, "onnx", (write, "model.onnx"))


def test_the_file_gives_the_answers_of_the_network(run: Path, onnx_file: Path) -> None:
    """At batch sizes that the export never saw, and against the network as evaluation runs it, with its native kernels."""
    network, facts = adarts.load_model(run)
    pixels = torch.randint(0, 256, (7, 3, 16, 16), dtype=torch.uint8)
    mean, std = (torch.tensor(facts[name]).view(-1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        right = network((pixels / 255 - mean) / std).numpy()
    model = OnnxModel(onnx_file, threads=1)
    assert np.abs(model.logits(pixels.numpy()) - right).max() < 1e-5
    alone = np.concatenate([model.logits(pixels[place : place + 1].numpy()) for place in range(7)])
    assert np.abs(alone - right).max() < 1e-5


def test_it_holds_its_facts(run: Path, onnx_file: Path) -> None:
    facts = OnnxModel(onnx_file).facts
    summary = json.loads((run / "summary.json").read_text())
    assert facts.classes == ("bird", "cat", "dog <b>")
    assert (facts.image_size, facts.in_channels) == ((16, 16), 3)
    assert facts.test_accuracy == summary["test_accuracy"]
    assert facts.data_fingerprint == summary["data_fingerprint"]


def test_it_holds_nothing_of_this_machine(onnx_file: Path) -> None:
    """Torch writes the path of every line of code beside every node."""
    assert b".py" not in onnx_file.read_bytes()


def test_a_pointwise_convolution_stays_one(onnx_file: Path) -> None:
    """As a matrix product it would keep its normalization apart, and int8 would quantize it badly."""
    kinds = [node.op_type for node in onnx.load(onnx_file).graph.node]
    assert "MatMul" not in kinds and "Transpose" not in kinds


def test_int8(run: Path, tmp_path: Path, copied: None) -> None:
    result = export(run, "onnx", tmp_path / "net.onnx", int8=True)
    assert result.path == tmp_path / "net.int8.onnx"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.int8.onnx", "net.onnx"]
    graph = onnx.load(result.path).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    dequantized = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in convolutions:
        source = dequantized[node.input[1]]
        weight, scale = weights[source.input[0]], weights[source.input[1]]
        assert weight.data_type == onnx.TensorProto.INT8
        assert list(scale.dims) == [weight.dims[0]]  # one scale a channel
    rows = dict(result.rows)
    assert rows["int8 size"] == f"{result.path.stat().st_size:,} bytes"
    images = images_of(run)
    model = OnnxModel(result.path)
    right = (model.logits(images.test.pixels.numpy()).argmax(1) == images.test.labels.numpy()).mean()
    assert rows["int8 accuracy"].startswith(f"{right:.2%} of {len(images.test)} test images; float32")
    assert model.facts.test_accuracy == pytest.approx(right)


def test_a_bad_int8_file_comes_with_a_warning(
    run: Path, tmp_path: Path, copied: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_module, "WORST_DROP", -2.0)
    assert main(["export", str(run), "--int8", "--out", str(tmp_path / "net.onnx")]) == 0
    assert "points of accuracy; take the float32 file" in capsys.readouterr().out


def test_an_int8_file_that_gains_nothing_comes_with_a_warning(
    run: Path, tmp_path: Path, copied: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "WORST_DROP", 1.0)
    monkeypatch.setattr(export_module.onnx_file, "latency", lambda path: 1.0)
    result = export(run, "onnx", tmp_path / "net.onnx", int8=True)
    assert (tmp_path / "net.int8.onnx").stat().st_size > (tmp_path / "net.onnx").stat().st_size
    assert result.warning == "int8 is neither smaller nor faster for this network; take the float32 file"


def test_another_network_is_not_kept(run: Path, tmp_path: Path, copied: None, monkeypatch: pytest.MonkeyPatch) -> None:
    good = export_module._FORMATS["onnx"][0]

    def broken(trained: Trained, path: Path) -> export_module.Answer:
        answer = good(trained, path)
        return lambda pixels: answer(pixels) + np.float32(1e-3)

    monkeypatch.setitem(export_module._FORMATS, "onnx", (broken, "model.onnx"))
    with pytest.raises(ExportError, match=r"not the trained one: logits differ by at most 1\.0e-03 at batch 1"):
        export(run, "onnx", tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_batch_is_noticed(run: Path) -> None:
    trained = Trained.load(run)

    def fixed(pixels: np.ndarray) -> np.ndarray:
        if len(pixels) == BATCHES[1]:
            raise RuntimeError("Got invalid dimensions")
        return trained.logits(pixels)

    with pytest.raises(ExportError, match="refuses a batch of 7: Got invalid dimensions"):
        check(trained, fixed, some(trained, images_of(run)))


def test_images_that_are_gone(run: Path, photos: Path, tmp_path: Path, copied: None) -> None:
    """The comparison is then made on random pixels and says so; int8 needs them."""
    shutil.move(photos, photos.parent / "moved")
    try:
        result = export(run, "onnx", tmp_path / "net.onnx")
        assert "compared on random pixels: no folder" in dict(result.rows)["images"]
        with pytest.raises(DataError, match="no folder"):
            export(run, "onnx", tmp_path / "net.onnx", int8=True)
    finally:
        shutil.move(photos.parent / "moved", photos)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "onx"], "onx"),
        (["--out", "net.bin"], "ends in .onnx"),
    ],
)
def test_refusals(run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), *words]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_format_in_python(run: Path) -> None:
    with pytest.raises(ConfigError, match="unknown format 'tflite'"):
        export(run, "tflite")  # type: ignore[arg-type]


def test_an_unfinished_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("format: 1\n")
    assert main(["export", str(tmp_path)]) == 3
    assert "not finished" in capsys.readouterr().err


@pytest.mark.parametrize("summary", ["", "{}", '{"data_facts": 7}', "[]"])
def test_a_damaged_summary(run: Path, tmp_path: Path, summary: str) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "export"))
    (tmp_path / "run" / "summary.json").write_text(summary)
    with pytest.raises(DataError, match=r"its summary\.json or model\.json is damaged"):
        Trained.load(tmp_path / "run")
