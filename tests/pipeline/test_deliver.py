"""From a folder to a network: every stage for real, as small as can be."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import adarts
from adarts.cli.main import main
from adarts.config.reading import read_yaml
from adarts.config.settings import ImageSettings, RunSettings
from adarts.data import load_images, read_source
from adarts.errors import ConfigError, DataError, Stopped
from adarts.export.export import export
from adarts.models import count_parameters
from adarts.models.limits import Limits, Shape
from adarts.pipeline import Plan, deliver, read_plan, run_pipeline
from adarts.pipeline.begin import write_plan
from adarts.pipeline.candidates import Candidates
from adarts.pipeline.choose import search_settings, shape_of, training_settings
from adarts.pipeline.comparison import Measure, best_of, conditions, verdict
from adarts.pipeline.fitting import decided, macs_limit
from adarts.pipeline.plan import FOUND, LimitSettings, NetworkPlan, SearchPlan, TimmPlan, TrainingPlan, Wishes, written
from adarts.pipeline.rivals import choose_rivals
from adarts.searching import search_config
from adarts.training import TrainResult, train_config
from adarts.training.model import resolve_genotype

pytest.importorskip("onnxruntime")
pytest.importorskip("timm")


TIMM = "timm:mobilenetv3_small_050"


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
        training=TrainingPlan(epochs=2, batch_size=8, learning_rate=0.01, class_weights="equal", held_out=0.2),
        timm=TimmPlan(size=24, learning_rate=0.002),
        rivals=("random:darts:0", TIMM),
    )
    return plan.model_copy(update=changes)


def test_a_plan_ends_in_a_network_within_its_limits_with_a_comparison(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, loader, log = shutil.copytree(photos, tmp_path / "photos"), tmp_path / "loader.py", tmp_path / "log"
    (folder / "dark" / "broken.png").touch()
    loader.write_text(
        "from pathlib import Path\n"
        "from adarts.data.folder import load_folder\n"
        "def photos(settings):\n"
        f"    with open({str(log)!r}, 'a') as log:\n"
        "        print('read', file=log)\n"
        f"    return load_folder(Path({str(folder)!r}), settings)\n"
    )
    data = f"{loader}:photos"
    torch.save(adarts.create_model(TIMM, seed=1).state_dict(), tmp_path / "weights.pth")
    tuned = f"{TIMM}@{tmp_path}/weights.pth"
    plan = plan_of(photos, data=data, max_broken=1, flip=False, rivals=("random:darts:0", TIMM, tuned))
    (tmp_path / "mine.yaml").write_text(written(plan, {}))
    words = ["run", data, "--plan", str(tmp_path / "mine.yaml"), "--run-dir", str(tmp_path / "run"), "--threads", "1"]
    assert main(words) == 0
    assert log.read_text() == "read\n" * 2, "all parts share the images, and the two networks of timm larger ones"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["left_out"] == [{"file": "dark/broken.png", "reason": "an empty file"}]
    assert summary["delivered"]["parameters"] <= 20_000
    networks = summary["networks"]
    assert 0 < networks["random:darts:0"]["parameters"] <= 20_000 < networks[TIMM]["parameters"]
    allowed = [networks[name] for name in (FOUND, "random:darts:0")]
    best = max(allowed, key=lambda one: one["held_out"]["accuracy"])
    assert summary["delivered"]["run"] == best["run"] and 4 <= best["held_out"]["images"] <= 10, "a fifth of about 38"
    fresh, fine_tuned = (tmp_path / "run" / f"network-{number}" for number in (3, 4))
    configs = [read_yaml(run / "config.yaml") for run in (fresh, fine_tuned)]
    assert [config["weights"]["learning_rate"] for config in configs] == [0.002, pytest.approx(0.0002)]
    for part in ("search", "network-1", "network-2", "network-3"):
        assert not read_yaml(tmp_path / "run" / part / "config.yaml")["images"]["flip"]
    assert all(config["training"]["optimizer"] == "adamw" and config["images"]["size"] == 24 for config in configs)
    begun = torch.load(tmp_path / "weights.pth")["conv_stem.weight"]
    ended = load_file(fine_tuned / "model.safetensors")["conv_stem.weight"]
    assert (ended - begun).abs().mean() < 0.5 * begun.abs().mean()  # other weights differ by more than they are large
    page = (tmp_path / "run" / "report.html").read_text()
    assert summary["verdict"] in page.replace("&#39;", "'")
    assert "mobilenetv3_small_050 of timm, fine-tuned from weights.pth (breaks a limit)" in page
    assert f"Fine-tuning of {TIMM} on " in page and f"--int8 --data {data}" in page
    model = tmp_path / "run" / "model.onnx"
    for reference in (model, tmp_path / "run"):
        assert main(["predict", str(reference), str(photos / "dark" / "0.png"), "--threads", "1"]) == 0
    assert summary["breaks_limits"].keys() == {TIMM, tuned}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("model.safetensors")}
    assert len(before) == 4
    again = adarts.run(data, run_dir=tmp_path / "run", threads=1)  # nothing is trained again
    assert again.test_accuracy == summary["delivered"]["test_accuracy"] and again.model == model
    assert log.read_text() == "read\n" * 2, "nor are the images read again"
    damaged = {name: value for name, value in summary.items() if name != "verdict"}
    (tmp_path / "run" / "summary.json").write_text(json.dumps(damaged))
    mended = adarts.run(data, run_dir=tmp_path / "run", threads=1)  # it is made again from the finished parts
    assert mended.summary["verdict"] == summary["verdict"]

    def asked_to_stop(*facts: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return export(*facts, **named)

    model.unlink()
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="SIGTERM; continue with"):
        patch.setattr(deliver, "export", asked_to_stop)
        adarts.run(data, run_dir=tmp_path / "run", threads=1)
    assert model.is_file(), "an export is not cut off"
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


def test_a_network_of_timm_is_compared_with_and_without_its_weights(photos: Path, tmp_path: Path) -> None:
    images = load_images(f"folder:{photos}", ImageSettings(size=16), 0)
    weights = tmp_path / "weights.safetensors"
    save_file(adarts.create_model(TIMM, seed=1).state_dict(), weights)
    cells = "random:darts:0", "PC_DARTS_cifar"
    small = Limits(parameters=600_000)
    assert choose_rivals(images, small, 0, None, {}) == (*cells, TIMM)
    assert choose_rivals(images, small, 0, str(weights), {}) == (*cells, TIMM, f"{TIMM}@{weights}")
    assert choose_rivals(images, Limits(), 0, f"{TIMM}@{weights}", {}) == (*cells, TIMM, f"{TIMM}@{weights}")
    with pytest.raises(DataError, match="not weights of timm's mobilenetv3_small_100"):
        choose_rivals(images, Limits(), 0, str(weights), {})


@pytest.mark.full
def test_another_network_that_cannot_be_trained_is_left_out(photos: Path, tmp_path: Path) -> None:
    diverging = TimmPlan(size=24, learning_rate=1e30)
    plan = plan_of(photos, search=SearchPlan(trials=0, size=8), rivals=(TIMM,), timm=diverging, limits=LimitSettings())
    summary = run_pipeline(plan, tmp_path / "run", RunSettings(threads=1)).summary
    assert list(summary["failed"]) == [TIMM] and list(summary["networks"]) == ["PC_DARTS_cifar"]
    assert "nan" in summary["failed"][TIMM] and "training failed" in (tmp_path / "run" / "report.html").read_text()


def test_an_interrupted_run_says_how_to_continue(photos: Path, tmp_path: Path) -> None:
    long = plan_of(photos).training.model_copy(update={"epochs": 100_000})
    plan = plan_of(photos, search=SearchPlan(trials=0, size=8), training=long)
    with pytest.raises(Stopped, match=r"continue with: adarts run --run-dir \S+$"):
        run_pipeline(plan, tmp_path / "run", RunSettings(time_limit="1s", threads=1))


@pytest.mark.parametrize(("name", "said", "code"), [("SIGINT", "Ctrl-C", 130), ("SIGTERM", "SIGTERM", 143)])
def test_a_signal_between_the_parts_says_how_to_continue(
    photos: Path, tmp_path: Path, name: str, said: str, code: int
) -> None:
    loader = f"import signal\ndef photos(settings):\n    signal.raise_signal(signal.{name})\n"
    (tmp_path / "loader.py").write_text(loader)
    data = f"{tmp_path}/loader.py:photos"
    with pytest.raises(Stopped, match=rf"by {said}; continue with: adarts run {data} --run-dir \S+$") as stopped:
        run_pipeline(plan_of(photos, data=data), tmp_path / "run")
    assert stopped.value.exit_code == code


@pytest.mark.parametrize("side", [8, 16, 20])
def test_a_network_of_timm_is_measured_on_images_of_its_size(photos: Path, tmp_path: Path, side: int) -> None:
    """Smaller or larger than those of the plan."""
    plan, run = plan_of(photos, timm=TimmPlan(size=side)), RunSettings()
    source = read_source(plan.data, ImageSettings(size=16))
    candidates = Candidates(plan, tmp_path, run, load_images(source, ImageSettings(), 0), source)
    config = train_config(**training_settings(plan, run, {"name": TIMM}, None, 1))
    assert candidates.images(config).image_size == (side, side)


def test_a_wrong_name_of_another_network_is_refused_before_the_search(photos: Path, tmp_path: Path) -> None:
    for name, kind, words in (
        ("PC_DART", DataError, "did you mean"),
        ("timm:mobilenet", ConfigError, "did you mean"),
        (f"{TIMM}@{tmp_path}/none.pth", DataError, "no file"),
    ):
        with pytest.raises(kind, match=words):
            run_pipeline(plan_of(photos, rivals=("random:darts:0", name)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{other} --plan {plan}", "data 'folder:.* contradicts"),
        ("--plan {plan} --max-params 500", "max-params 500 contradicts .*, which says 20000"),
        ("--plan {plan} --max-macs 5e6", "max-macs 5000000 contradicts .*, which says None"),
        ("--plan {plan} --seed 1", "seed 1 contradicts"),
        ("--plan {plan} --flip false", "flip False contradicts"),
        ("--plan {plan} --max-broken 2", "max-broken 2 contradicts"),
        ("--plan {plan} --time-budget 2m", "a plan has its own times"),
        ("--plan {plan} --no-compare", "has networks to compare with"),
        ("--plan {plan} --pretrained some.pth", "has no network with the weights some.pth"),
        ("{photos} --pretrained some.pth --no-compare", "pretrained weights are for the comparison"),
        ("--run-dir {kept} --max-params 500", "max-params 500 contradicts"),
        ("--run-dir {kept} --plan {changed}", "has another plan"),
        ("--plan {code}", "is code, which is not executed for a file alone"),
        ("{photos} --run-dir {photos}", "photos0 has other files and no plan.yaml; choose another --run-dir"),
        ("{photos} --run-dir {photos}/run", "run would be a class of the images in .*photos0; choose another place"),
        ("{photos} --max-macs 0.3", "max_macs: must be greater than 0"),
        ("{photos} --max-latency inf", "is not a time in milliseconds"),
        ("--plan {plan} --run-dir {plan}/x", "Not a directory"),
    ],
)
def test_what_contradicts_a_plan_is_refused(
    words: str, message: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, (mark, module) = plan_of(photos), (tmp_path / "executed", tmp_path / "code.py")
    module.write_text(f"open({str(mark)!r}, 'w')\nDATA = None\n")
    plans = {"plan": plan, "changed": plan_of(photos, seed=3), "code": plan_of(photos, data=f"{module}:DATA")}
    names = {"photos": photos, "other": tmp_path, "kept": tmp_path / "kept"}
    for name, one in plans.items():
        names[name] = tmp_path / f"{name}.yaml"
        names[name].write_text(written(one, {}))
    names["kept"].mkdir()
    (names["kept"] / "plan.yaml").write_text(written(plan, {}))
    assert main(["run", *(word.format(**names) for word in words.split())]) in (2, 3)
    error = capsys.readouterr().err
    assert re.search(message, error) and "a bug" not in error
    assert not mark.exists() and not (tmp_path / "kept" / "search").exists()


def test_the_same_command_continues(photos: Path, tmp_path: Path) -> None:
    """What it says agrees with the plan in the folder."""
    (tmp_path / "plan.yaml").write_text(written(plan_of(photos), {}))
    wishes = Wishes(LimitSettings(max_params=20_000), "12m", flip=True)
    assert write_plan(f"{photos}/", wishes, None, tmp_path, RunSettings()).file == tmp_path / "plan.yaml"


def test_the_search_looks_at_networks_within_the_limits(photos: Path) -> None:
    """A latency between those of two networks stands for MACs between theirs."""
    plan = plan_of(photos, limits=LimitSettings(max_params=20_000, max_latency=3.0))
    images = load_images(plan.data, ImageSettings(size=16), 0)
    cells = resolve_genotype(plan.search.published)
    low, high = (shape_of(images, 16).cost(cells, width, 3) for width in (2, 8))

    def machine(network: nn.Module) -> float:
        return 2.0 if count_parameters(network) == low.parameters else 4.0

    macs = macs_limit(plan, images, machine)
    assert macs == low.macs + (high.macs - low.macs) // 2
    assert macs_limit(plan, images, lambda network: 4.0) is None  # no width is faster
    limits = LimitSettings(max_macs=1_000_000)
    assert macs_limit(plan_of(photos, limits=limits), images) == 1_000_000
    short = plan.network.model_copy(update={"macs": 500_000})  # the time allows less than the limits
    assert macs_limit(plan_of(photos, network=short), images) == 500_000
    assert macs_limit(plan_of(photos, network=short, limits=limits), images) == 500_000
    options = search_config(**search_settings(plan, RunSettings(), macs)).options
    asked = {
        "max_params": 20_000,
        "max_macs": macs,
        "channels": 8,
        "cells": 3,
        "image_size": 16,
        "known": cells.to_text(),
    }
    assert asked.items() <= options.items()
    assert "max_macs" not in search_config(**search_settings(plan, RunSettings(), None)).options


def test_a_number_that_was_measured_is_kept_for_the_same_question(tmp_path: Path) -> None:
    answers = iter([8, 10, 12])
    file = tmp_path / "rival" / "width.json"
    for about, expected in (("a", 8), ("a", 8), ("b", 10), ("b", 10)):
        assert decided(file, {"cells": about}, lambda: next(answers)) == expected
    file.write_text("{")
    assert decided(file, {"cells": "b"}, lambda: next(answers)) == 12


@pytest.mark.full
def test_what_is_chosen_for_a_folder(photos: Path, tmp_path: Path) -> None:
    words = ["run", str(photos), "--max-params", "100000", "--threads", "1", "--plan-only", "--run-dir"]
    assert main([*words, str(tmp_path / "long"), "--time-budget", "200h", "--no-compare"]) == 0
    plan = read_plan(tmp_path / "long" / "plan.yaml")
    assert plan.size == 20 and plan.training.epochs == 100 and plan.search.trials == 200 and plan.rivals == ()
    # The heaviest cells meet the limit with 6 channels; others may have more.
    assert plan.network.channels == 16 and plan.network.macs is None  # there is time for all epochs
    assert main([*words, str(tmp_path / "short"), "--time-budget", "1s"]) == 0
    plan = read_plan(tmp_path / "short" / "plan.yaml")
    assert plan.training.epochs == 1 and plan.network.channels == 4
    shape = Shape(num_classes=2, in_channels=3, image_size=(plan.size, plan.size))
    assert plan.network.macs == shape.cost(resolve_genotype(plan.search.published), 4, plan.network.cells).macs
    assert plan.search.trials == 0 and plan.search.published not in plan.rivals and len(plan.rivals) == 2


@pytest.mark.parametrize(("per_class", "side", "refused"), [(4, 8, False), (2, 8, True), (10, 4, True)])
def test_few_or_small_images(per_class: int, side: int, refused: bool, tmp_path: Path) -> None:
    """The batch suits few images; fewer are refused. Of each class with several, one is held out."""
    random, run = np.random.default_rng(0), tmp_path / "run"
    for place in "abcd":
        (tmp_path / "few" / place).mkdir(parents=True)
        for number in range(per_class):
            pixels = random.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "few" / place / f"{number}.png")
    wishes = Wishes(LimitSettings(max_params=12_000), "1h")
    given = tmp_path / "few", wishes, None, run, RunSettings(threads=1)
    if refused:
        with pytest.raises(ConfigError, match="a run needs at least 8 of at least 8"):
            write_plan(*given)
        return
    file = write_plan(*given).file
    plan = read_plan(file)
    assert "\n  # 3 of 10 images choose the network" in file.read_text() and plan.training.held_out == 0.2
    assert plan.flip
    assert 4 <= 2 * plan.training.batch_size <= 10  # a search trains on half of the 10 images
    assert plan.size == 8 and plan.search.size == 8


def result(accuracy: float, held_out: float | None = None) -> TrainResult:
    summary = {"test_accuracy": accuracy, "test_images": 400}
    chooses = {} if held_out is None else {"held_out": {"accuracy": held_out, "images": 100}}
    return TrainResult(Path(), accuracy, {**summary, **chooses})


RANDOM = "random:darts:0"


@pytest.mark.parametrize(
    ("first", "held_out", "tested", "words"),
    [
        (
            FOUND,
            (0.9, 0.8),
            (0.95, 0.85),
            "the found cells, with the best accuracy of 100 held-out images, 90.0 % (next: ra",
        ),
        (
            FOUND,
            (0.9, 0.8),
            (0.95, 0.85),
            "it had 10.0 points of accuracy (standard error 2.1) more than the best other one",
        ),
        (
            FOUND,
            (0.8, 0.9),
            (0.85, 0.95),
            "random cells of seed 0, with the best accuracy of 100 held-out images, 90.0 % (next: the f",
        ),
        (FOUND, (0.8, 0.9), (0.85, 0.95), "The search found no better cells here."),
        (
            "PC_DARTS_cifar",
            (0.8, 0.9),
            (0.95, 0.94),
            "the published cells PC_DARTS_cifar: 1.0 points of accuracy (standard",
        ),
        (FOUND, (0.9, 0.8), (0.85, 0.95), "But on the test images random cells of seed 0 had 10.0 points of accuracy"),
        (FOUND, (0.9, 0.9), (0.95, 0.94), "Delivered: the network of the found cells"),
    ],
)
def test_held_out_images_choose_and_test_images_judge(
    first: str, held_out: tuple[float, float], tested: tuple[float, float], words: str
) -> None:
    """A difference below two standard errors is none."""
    both = {
        name: result(*figures)
        for name, figures in zip((first, RANDOM), zip(tested, held_out, strict=True), strict=True)
    }
    chosen = best_of(both, "test_accuracy")
    found = verdict(both, chosen, both, "test_accuracy")
    assert words in found and ("search found" in found) == (first == FOUND and chosen != FOUND)


def test_a_network_that_breaks_a_limit_is_compared_with_none() -> None:
    both = {FOUND: result(0.8), RANDOM: result(0.9)}
    assert "All others break a limit" in verdict(both, FOUND, {FOUND: both[FOUND]}, "test_accuracy")
    three = {**both, "PC_DARTS_cifar": result(0.5)}
    found = verdict(three, RANDOM, {name: three[name] for name in (RANDOM, "PC_DARTS_cifar")}, "test_accuracy")
    assert "The network of the found cells breaks a limit." in found and "found no better" not in found
    assert "more than the best other one within the limits, the published cells PC_DARTS_cifar" in found


@pytest.mark.parametrize(
    ("names", "held_out", "words"),
    [
        ((FOUND,), 0.9, ()),
        ((FOUND, RANDOM), None, ("one seed", "as many parameters")),
        ((FOUND, TIMM), 0.9, ("one seed", "held-out images", "with images of 24 pixels")),
        ((FOUND, RANDOM, TIMM), 0.9, ("one seed", "held-out images", "as many parameters", "with images of 24 pixels")),
    ],
)
def test_the_report_says_what_this_plan_did(
    photos: Path, names: tuple[str, ...], held_out: float | None, words: tuple[str, ...]
) -> None:
    found = conditions(plan_of(photos), {name: result(0.9, held_out) for name in names}, "test_accuracy")
    known = "one seed", "held-out images", "as many parameters", "with images of 24 pixels"
    assert [word for word in known if word in found] == list(words)


@pytest.mark.parametrize(
    ("rare", "words"), [(100, "it had 20.0 points of balanced accuracy"), (2, "does not differ clearly")]
)
def test_unequal_classes_are_compared_by_the_mean_of_all_classes(rare: int, words: str) -> None:
    """Also if the accuracy says the opposite; a class of few images decides little."""
    measure: Measure = "balanced_accuracy"

    def of(common: float, seldom: float) -> TrainResult:
        classes = [
            {"accuracy": common, "images": 1000},
            {"accuracy": seldom, "images": rare},
            {"accuracy": None, "images": 0},
        ]
        mean = (common + seldom) / 2
        held_out = {"accuracy": common, "balanced_accuracy": mean, "images": 100}
        return TrainResult(Path(), common, {measure: mean, "held_out": held_out, "test_classes": classes})

    both = {FOUND: of(0.9, 0.5), RANDOM: of(1.0, 0.0)}
    assert best_of(both, measure) == FOUND and best_of(both, "test_accuracy") == RANDOM
    assert words in verdict(both, FOUND, both, measure)


def test_without_others_there_is_no_verdict() -> None:
    alone = {FOUND: result(0.9)}
    assert "nobody knows whether another one is better" in verdict(alone, FOUND, alone, "test_accuracy")
