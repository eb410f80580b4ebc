"""From a folder to a network: every stage for real, as small as can be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adarts
from adarts.cli.main import main
from adarts.config.settings import RunSettings
from adarts.errors import ConfigError, Stopped
from adarts.pipeline import Plan, run_pipeline
from adarts.pipeline.deliver import verdict
from adarts.pipeline.plan import LimitSettings, NetworkPlan, SearchPlan, TrainingPlan, written
from adarts.training import TrainResult

pytest.importorskip("onnxruntime")
pytest.importorskip("timm")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for place, brightness in (("dark", 40), ("light", 200)):
        (folder / place).mkdir()
        for number in range(24):
            pixels = random.normal(brightness, 20, (20, 20, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / place / f"{number}.png")
    return folder


def plan_of(photos: Path, **changes: object) -> Plan:
    plan = Plan(
        data=f"folder:{photos}",
        size=16,
        limits=LimitSettings(max_params=20_000),
        search=SearchPlan(trials=3, steps=2, size=8),
        network=NetworkPlan(cells=3, channels=8),
        training=TrainingPlan(seconds=0.1, epochs=2, batch_size=8, learning_rate=0.01, class_weights="equal"),
        rivals=("random:darts:0", "timm:mobilenetv3_small_050"),
    )
    return plan.model_copy(update=changes)


def test_a_plan_ends_in_a_network_within_its_limits_with_a_comparison(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(written(plan_of(photos), {}))
    words = ["run", "--plan", str(tmp_path / "mine.yaml"), "--run-dir", str(tmp_path / "run"), "--threads", "1"]
    assert main(words) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["delivered"]["parameters"] <= 20_000
    assert summary["rivals"]["random:darts:0"]["parameters"] >= summary["delivered"]["parameters"]
    assert summary["rivals"]["timm:mobilenetv3_small_050"]["parameters"] > 20_000
    page = (tmp_path / "run" / "report.html").read_text()
    assert summary["verdict"] in page.replace("&#39;", "'") and "mobilenetv3_small_050 of timm" in page
    model = tmp_path / "run" / "train" / "export" / summary["delivered"]["model"]
    assert main(["predict", str(model), str(photos / "dark" / "0.png"), "--threads", "1"]) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("model.safetensors")}
    assert len(before) == 3
    again = adarts.run(run_dir=tmp_path / "run", threads=1)  # nothing is trained again
    assert again.test_accuracy == summary["delivered"]["test_accuracy"] and again.model == model
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_limit_that_cannot_be_met_is_refused_before_the_search(photos: Path, tmp_path: Path) -> None:
    for limits, message in (
        (LimitSettings(max_params=500), "the narrowest network has [0-9,]+ parameters, more than 500"),
        (LimitSettings(max_macs=1000), "the narrowest network has [0-9,]+ MACs per image, more than 1,000"),
        (LimitSettings(max_latency=0.0001), r"the narrowest network has a latency of [0-9.]+ ms, more than 0\.0001 ms"),
    ):
        with pytest.raises(ConfigError, match=message):
            run_pipeline(plan_of(photos, limits=limits), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_says_how_to_continue(photos: Path, tmp_path: Path) -> None:
    long = plan_of(photos).training.model_copy(update={"epochs": 100_000})
    plan = plan_of(photos, search=SearchPlan(trials=0, size=8), training=long)
    with pytest.raises(Stopped, match=r"continue with: adarts run --run-dir \S+$"):
        run_pipeline(plan, tmp_path / "run", RunSettings(time_limit="1s", threads=1))


def result(accuracy: float, parameters: int = 1000) -> TrainResult:
    return TrainResult(Path(), accuracy, {"test_images": 400, "parameters": parameters})


@pytest.mark.parametrize(
    ("own", "rivals", "words"),
    [
        (0.95, {"random:darts:0": result(0.85)}, "Take the delivered network: it is 10.0 points"),
        (0.85, {"random:darts:0": result(0.95)}, "Take random cells: it is 10.0 points"),
        (0.95, {"PC_DARTS_cifar": result(0.94)}, "do not differ clearly: 1.0 points (standard error 1.6)"),
        (0.95, {"timm:x": result(0.99, 10**6)}, "all others are larger than the limit"),
        (0.95, {}, "nobody knows whether the search was worth it"),
    ],
)
def test_the_verdict_needs_two_standard_errors(own: float, rivals: dict[str, TrainResult], words: str) -> None:
    assert words in verdict(result(own), rivals, LimitSettings(max_params=2000).limits())
