"""Trainings of hand-designed networks: the same loop, the same promises."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import adarts
from adarts.cli.main import main
from adarts.data import load_images
from adarts.errors import ConfigError, DataError, Stopped
from adarts.models.baselines import BUILDERS, resnet
from adarts.testing import CPU
from adarts.training import load_model, run_training, train_config
from adarts.training.model import network_of
from adarts.training.task import TrainTask

TINY: dict[str, Any] = {"scale": "smoke", "network": {"name": "resnet110"}, "images": {"size": 16, "per_class": 4}}


@pytest.fixture
def _shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILDERS, "resnet110", lambda classes, channels: resnet(8, classes, channels))


def tiny(**training: Any) -> TrainTask:
    config = train_config(**TINY, training={"batch_size": 8, **training})
    data = load_images("digits", config.images, config.seed)
    return TrainTask(config, data, network_of(config.network, None, data, config.seed), CPU)


def tensors(task: TrainTask) -> list[Tensor]:
    state = task.state_dict()
    return [*state["network"].values(), *(entry["momentum_buffer"] for entry in state["optimizer"]["state"].values())]


@pytest.mark.usefixtures("_shallow")
def test_a_resume_goes_on_bit_by_bit() -> None:
    task, resumed = tiny(), tiny()
    task.step(0, 0)
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    for step in range(1, task.steps(0)):
        one, other = task.step(0, step), resumed.step(0, step)
        assert {name: float(value) for name, value in one.items()} == {n: float(v) for n, v in other.items()}
    assert all(torch.equal(*pair) for pair in zip(tensors(task), tensors(resumed), strict=True))


@pytest.mark.usefixtures("_shallow")
def test_the_rate_stays_small_until_an_epoch_ends_with_less_than_80_percent_errors() -> None:
    task = tiny(epochs=8)
    totals = {"loss": 2.0, "images": 10.0}
    assert task.end_epoch(0, totals | {"correct": 2.0})["learning_rate"] == 0.01  # 80 %, which is not below
    assert task._learning_rate(1.0, 1) == 0.01
    task.end_epoch(1, totals | {"correct": 2.1})
    assert task._learning_rate(2.0, 2) == 0.1
    task.end_epoch(2, totals | {"correct": 0.0})  # it is over once and for all
    assert task._learning_rate(3.0, 3) == 0.1
    resumed = tiny(epochs=8)
    assert resumed._learning_rate(3.0, 3) == 0.01
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    assert resumed._learning_rate(3.0, 3) == 0.1


@pytest.mark.usefixtures("_shallow")
def test_the_small_rate_never_raises_that_of_the_schedule() -> None:
    task = tiny(epochs=4)
    assert [task._learning_rate(float(e), e) for e in range(4)] == pytest.approx([0.01, 0.01, 0.01, 0.001])


@pytest.mark.usefixtures("_shallow")
def test_a_stopped_run_ends_as_one_that_was_not_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(name: str) -> Path:
        return run_training(train_config(**TINY, run={"run_dir": tmp_path / name, "threads": 1})).run_dir

    whole = run("whole")
    plain = TrainTask.step

    def stopping(task: TrainTask, epoch: int, step: int) -> dict[str, Tensor | float]:
        if (epoch, step) == (1, 1):
            raise Stopped("stopped", 130)
        return plain(task, epoch, step)

    monkeypatch.setattr(TrainTask, "step", stopping)
    with pytest.raises(Stopped):
        run("stopped")
    monkeypatch.setattr(TrainTask, "step", plain)
    stopped = run("stopped")
    for file in ("model.safetensors", "model.json", "metrics.jsonl"):
        assert (stopped / file).read_bytes() == (whole / file).read_bytes()
    assert not (whole / "genotype.json").exists()

    network, facts = load_model(whole)
    assert facts["network"] == "resnet110" and "genotype" not in facts and not network.training
    page = (whole / "report.html").read_text()
    assert "Training of resnet110 on digits" in page and "Test accuracy" in page
    assert json.loads((whole / "summary.json").read_text())["network"] == "resnet110"


def test_from_the_command_line_to_the_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [
        "--scale",
        "smoke",
        "--images.per-class",
        "2",
        "--images.size",
        "16",
        "--threads",
        "1",
        "--training.epochs",
        "1",
    ]
    assert main(["train", "--network", "MobileNet-V2", *small]) == 0
    said = capsys.readouterr().out
    assert "MobileNetV2" in said and "2,236,106" in said
    summary = json.loads(Path("runs/train/latest/summary.json").read_text())
    assert summary["network"] == "mobilenet_v2"
    assert main(["evaluate", "latest", "--threads", "1"]) == 0
    assert f"test accuracy {summary['test_accuracy']:.2%}" in capsys.readouterr().out


def test_words_that_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in (
        ("--network ResNet11", "unknown network 'resnet11'; did you mean 'resnet110'?"),
        (
            "--network resnet110 --genotype random:1",
            "network 'resnet110' and genotype 'random:1' are both given; remove one of them",
        ),
    ):
        assert main(["train", *words.split()]) == 2
        assert capsys.readouterr().err == f"adarts: {expected}\n"


def test_images_that_are_too_small_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resnet110 needs images of at least 16x16 pixels, not 8x8"):
        adarts.train(**{**TINY, "images": {"size": 8, "per_class": 4}}, run={"runs": tmp_path})


def test_a_model_whose_network_is_unknown_is_damaged(tmp_path: Path) -> None:
    facts = {"format": "adarts-model", "version": 1, "network": "resnet111", "classes": ["a", "b"], "in_channels": 3}
    facts["image_size"] = [16, 16]
    (tmp_path / "model.json").write_text(json.dumps(facts))
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="no usable trained model: unknown network 'resnet111'"):
        load_model(tmp_path)


@pytest.mark.usefixtures("_shallow")
def test_from_python(tmp_path: Path) -> None:
    trained = adarts.train(**TINY, run={"runs": tmp_path, "threads": 1}, training={"epochs": 1})
    assert trained.summary["network"] == "resnet110" and trained.summary["parameters"] == 75_002
