"""What a training is like before anybody says otherwise: the recipe of what is trained, below scale, file and options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adarts.config.loading import SCALES, to_yaml
from adarts.config.settings import NetworkSettings, TrainConfig, TrainingSettings, WeightOptimizer
from adarts.engine.optimizers import learning_rate
from adarts.errors import ConfigError
from adarts.spaces import NASBENCH201, SPACES, random_genotype
from adarts.training import train_config

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


def config(**given: Any) -> TrainConfig:
    """At the scale of the paper, unless a file or the test names another."""
    return train_config(**({} if "config_file" in given else {"scale": "paper"}) | given)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_recipe_scale_file_and_options_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("network: {name: densenet_bc_190_40}\nweights: {momentum: 0.8}\n")
    found = config(config_file=file, scale="smoke", weights={"weight_decay": 0.0})
    assert found.weights.nesterov and found.weights.milestones == (0.5, 0.75)  # the recipe
    assert (found.training.epochs, found.training.batch_size) == (2, 16)  # the scale
    assert found.weights.momentum == 0.8  # the file
    assert found.weights.weight_decay == 0.0  # the options
    assert found.genotype is None
    file.write_text(to_yaml(found))
    assert config(config_file=file) == found


@pytest.mark.parametrize("scale", SCALES)
def test_what_a_scale_says_of_cells_is_not_said_of_other_networks(scale: str) -> None:
    published, reduced = config(network={"name": "resnet110"}), config(network={"name": "resnet110"}, scale=scale)
    assert reduced.network == published.network
    assert reduced.weights == published.weights
    assert reduced.training.epochs == config(genotype="random:1", scale=scale).training.epochs or scale == "paper"


def test_the_benchmarks_cells_get_the_benchmarks_network_and_protocol() -> None:
    found = config(genotype=TEXT)
    assert (found.network.channels, found.network.cells) == (16, 15)
    assert (found.network.drop_path, found.network.auxiliary_weight, found.images.cutout) == (0, 0, 0)
    assert (found.training.epochs, found.training.batch_size) == (200, 256)
    assert (found.weights.learning_rate, found.weights.weight_decay, found.weights.nesterov) == (0.1, 5e-4, True)
    assert found.weights.milestones == ()
    assert config(genotype=TEXT, network={"cells": 6}).network.cells == 6


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_has_cells_for_the_benchmarks_three_stages(scale: str) -> None:
    found = config(genotype="random:nasbench201:0", scale=scale)
    assert found.network.cells is not None and found.network.cells % 3 == 0
    assert (found.network.drop_path, found.network.auxiliary_weight, found.images.cutout) == (0, 0, 0)
    darts = config(genotype="random:0", scale=scale)
    assert found.training.epochs == darts.training.epochs or scale in ("demo", "paper")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("space", [name for name in SPACES.known if name != "nasbench201"])
def test_all_other_cells_are_trained_as_those_of_darts(space: str, scale: str) -> None:
    reference = f"random:{space}:0"
    expected = config(genotype="random:darts:0", scale=scale).model_copy(update={"genotype": reference})
    assert config(genotype=reference, scale=scale) == expected


def test_a_genotype_that_cannot_be_read_is_refused_by_the_training_not_here(tmp_path: Path) -> None:
    assert config(genotype=str(tmp_path / "nothing")).network == NetworkSettings()


def test_a_run_that_goes_on_keeps_the_space_of_its_cells(tmp_path: Path) -> None:
    (tmp_path / "genotype.json").write_text(random_genotype(NASBENCH201, 0).to_json())
    assert config(genotype="random:1", run={"run_dir": str(tmp_path)}).network.channels == 16
    assert config(genotype="random:1", run={"run_dir": tmp_path / "new"}).network.channels == 36


def test_another_network_than_that_of_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(to_yaml(config(network={"name": "resnet110"})))
    assert "network 'vgg19_bn' contradicts" in refused(lambda: config(config_file=file, network={"name": "vgg19_bn"}))
    assert config(config_file=file, network={"name": "resnet110"}) == config(network={"name": "resnet110"})


def test_cells_of_another_recipe_than_that_of_a_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text(to_yaml(config(genotype="random:nasbench201:0", scale="smoke")))
    assert refused(lambda: config(config_file=file, genotype="ADARTS_V1")) == (
        f"genotype 'ADARTS_V1' is of space 'darts', but network, training, weights, images in {file} are for cells of "
        "'nasbench201'; omit the file, or remove genotype from it to keep its settings"
    )
    assert config(config_file=file, genotype=TEXT).network.channels == 8
    file.write_text("".join(line for line in file.open() if not line.startswith("genotype:")))
    assert config(config_file=file, genotype="ADARTS_V1").training.batch_size == 16  # they are asked for
    file.write_text(to_yaml(config(genotype="ADARTS_V1")))
    assert "is of space 'nasbench201', but network" in refused(lambda: config(config_file=file, genotype=TEXT))
    assert config(config_file=file, genotype="random:s2:0").network.channels == 36  # trained as those of darts
    assert (
        refused(lambda: config(config_file=file, genotype=None))
        == "neither a genotype nor a network is given; use --genotype or --network"
    )
    file.write_text("genotype: ADARTS_V1\ntraining: {epochs: 3}\n")
    assert "are both given" in refused(lambda: config(config_file=file, genotype=TEXT, network={"name": "resnet110"}))


def test_a_file_that_sets_nothing_of_a_recipe_goes_with_any_cells(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("scale: paper\ngenotype: random:nasbench201:0\nimages: {per_class: 7}\n")
    found = config(config_file=file, genotype="ADARTS_V1")
    assert (found.images.per_class, found.network.channels) == (7, 36)
    file.write_text("genotype: random:nasbench201:0\nimages: {cutout: 0}\n")
    assert "but images in" in refused(lambda: config(config_file=file, genotype="ADARTS_V1"))


def test_the_settings_of_a_run_belong_to_the_cells_that_it_kept(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config(genotype=TEXT)).replace(TEXT, str(tmp_path / "gone")))
    assert config(config_file=file, genotype="ADARTS_V1").network.channels == 16  # nobody knows what they are for
    (tmp_path / "genotype.json").write_text(random_genotype(NASBENCH201, 0).to_json())
    assert "cells of 'nasbench201'" in refused(lambda: config(config_file=file, genotype="ADARTS_V1"))


def test_case_does_not_matter_in_the_name_of_a_network(tmp_path: Path) -> None:
    found = config(network={"name": "ResNet110"})
    assert found == config(network={"name": "resnet110"})
    file = tmp_path / "some.yaml"
    file.write_text(to_yaml(found))
    assert config(config_file=file, network={"name": "RESNET110"}) == found
    assert config(network={"name": "DenseNet-BC-190-40"}).network.name == "densenet_bc_190_40"


def test_a_training_has_cells_or_a_network() -> None:
    both = refused(lambda: config(network={"name": "resnet110"}, genotype="random:1"))
    assert both == "network 'resnet110' and genotype 'random:1' are both given; remove one of them"
    assert (
        refused(lambda: config(genotype=None))
        == "neither a genotype nor a network is given; use --genotype or --network"
    )
    assert (
        refused(lambda: config(network={"name": "resnet10"})) == "unknown network 'resnet10'; did you mean 'resnet110'?"
    )
    for section in ({"cells": 8}, {"channels": 16}, {"drop_path": 0.1}, {"auxiliary_weight": 0.4}):
        assert "has no cells" in refused(lambda section=section: config(network={"name": "resnet110", **section}))  # type: ignore[misc]
    assert "needs network.channels and network.cells" in refused(
        lambda: config(genotype="random:1", network={"channels": None})
    )


def test_the_learning_rate_falls_to_a_tenth_at_each_milestone() -> None:
    steps = WeightOptimizer(learning_rate=0.1, milestones=(0.5, 0.75))
    rates = [learning_rate(steps, epoch, 164) for epoch in (0, 81, 82, 122, 123, 163)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert [learning_rate(steps, epoch, 4) for epoch in range(4)] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert learning_rate(steps, 0.5, 4, warmup=1) == pytest.approx(0.05)
    # As floating-point numbers, 0.55 of 100 are a little more than 55.
    late = WeightOptimizer(learning_rate=0.1, milestones=(0.55,))
    assert [learning_rate(late, epoch, 100) for epoch in (54, 55)] == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (lambda: WeightOptimizer(milestones=(0.5,), final_learning_rate=0.1), "which milestones replace"),
        (lambda: WeightOptimizer(milestones=(1.5,)), "less than 1"),
        (lambda: TrainingSettings(learning_rate_warmup=1, warmup_learning_rate=0.01), "choose one"),
        (
            lambda: TrainConfig(training=TrainingSettings(optimizer="adamw"), weights=WeightOptimizer(nesterov=True)),
            "nesterov is for SGD",
        ),
    ],
)
def test_schedules_that_contradict_themselves(settings: Callable[[], object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        settings()
