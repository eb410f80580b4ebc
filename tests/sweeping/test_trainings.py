"""The trainings of a sweep: the cells of each search, and random cells in networks of equal size."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from adarts.config.settings import TrainConfig
from adarts.data import load_images
from adarts.errors import ConfigError
from adarts.models import count_parameters
from adarts.spaces import get_space, random_genotype
from adarts.sweeping import grid
from adarts.sweeping.pages import content, networks
from adarts.sweeping.results import PointResult
from adarts.sweeping.trainings import Training, TrainingResult, Trainings
from adarts.training.model import network_of, resolve_genotype

SMALL = {"data": "digits", "scale": "smoke", "images": {"per_class": 4}}


def parameters(config: TrainConfig) -> int:
    """Of the network that is trained, without the auxiliary head."""
    data = load_images(config.data, config.images, 0)
    plain = config.network.model_copy(update={"auxiliary_weight": 0.0})
    return count_parameters(network_of(plain, resolve_genotype(str(config.genotype)), data, 0))


def test_found_and_random_cells(tmp_path: Path) -> None:
    points = grid({"method": ["adarts", "darts"], "images.size": [8, 16], "seed": [3, 4]}, SMALL)
    found = [PointResult(point, tmp_path / point.name) for point in points[1:]]  # the first has failed
    for number, row in enumerate(found):
        row.folder.mkdir()
        (row.folder / "genotype.json").write_text(random_genotype(get_space("darts"), number).to_json())
    made = Trainings(points, {"training.epochs": 1, "network.channels": 6}).of(found, tmp_path / "trainings")

    configs = {one.point.name: one.point.config for one in made}
    assert [one.folder.name for one in made[:7]] == [row.point.name for row in found]
    assert list(configs)[:7] == [f"train-{row.point.name}" for row in found]
    for row, one in zip(found, made, strict=False):
        config = one.point.config
        assert (config.seed, config.scale, config.training.epochs) == (row.point.config.seed, "smoke", 1)
        assert (config.images.size, config.images.per_class) == (row.point.settings["images.size"], 4)
        assert config.images.cutout == TrainConfig().images.cutout  # of the training, not of the search
    random = made[7:]
    of_random = [(one.point.settings["images.size"], one.point.config.seed) for one in random]
    assert of_random == [(16, 3), (16, 4), (8, 3), (8, 4)]
    for one in random:
        config = one.point.config
        assert config.genotype == f"random:darts:{config.seed}"
        others = [o for o in made[:7] if o.point.config.images.size == config.images.size]
        mean = fmean(parameters(other.point.config) for other in others)
        narrower = config.network.model_copy(update={"channels": config.network.channels - 1})  # type: ignore[operator]
        assert parameters(config.model_copy(update={"network": narrower})) < mean <= parameters(config)
        assert one.point.name.endswith(f"network.channels={config.network.channels}-seed{config.seed}")


def test_wrong_settings_are_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"training\.epoch: unknown setting"):
        Trainings(grid({"seed": [0]}, SMALL), {"training.epoch": 1})


def test_the_table_has_a_floor() -> None:
    trained = []
    for method, values in {"adarts": (0.5, 0.7), "random cells": (0.4,)}.items():
        for seed, accuracy in enumerate(values):
            training = Training(f"{method}{seed}", {"method": method, "seed": seed}, TrainConfig(), "darts")
            figures = {"test_accuracy": accuracy, "parameters": 1234.0}
            trained.append(TrainingResult(training, Path(f"{method}{seed}"), "finished", figures=figures, constant=0.1))
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in networks(trained).splitlines()] == [
        ["method", "n", "test", "parameters"],
        ["-" * 24, "-", "-" * 13, "-" * 10],
        ["adarts", "2", "60.0 ± 14.1 %", "1,234 ± 0"],
        ["random cells", "1", "40.0 %", "1,234"],
        ["always the largest class", "", "10.0 %", ""],
    ]
    whole = content([], [], {"on": "local"}, {}, trained)
    assert whole["networks"][0]["figures"]["test_accuracy"] == {
        "n": 2,
        "mean": 0.6,
        "sd": pytest.approx(0.1414, abs=1e-4),
    }
    assert [one["settings"]["method"] for one in whole["trainings"]] == ["adarts", "adarts", "random cells"]
