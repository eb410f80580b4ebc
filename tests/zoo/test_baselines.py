"""Hand-designed networks: sizes to the digit, and what their papers say of the parts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adarts.config.settings import NetworkSettings
from adarts.errors import ConfigError
from adarts.models import count_parameters
from adarts.models.baselines import (
    BUILDERS,
    Block,
    Classifier,
    PaddedShortcut,
    build,
    densenet,
    mobilenet_v2,
    resnet,
    vgg,
)
from adarts.training import train_config
from adarts.zoo.baselines import BASELINES

SIZES = {
    "resnet110": (1_727_962, 1_733_812),
    "resnet1202": (19_421_274, 19_427_124),
    "densenet_bc_190_40": (25_624_430, 25_821_620),
    "vgg19_bn": (20_040_522, 20_086_692),
    "mobilenet_v2": (2_236_682, 2_351_972),
}
SMALL: dict[str, Callable[[], Classifier]] = {
    "resnet": lambda: resnet(8, 5),
    "densenet": lambda: densenet(10, 4, 5),
    "vgg": lambda: vgg(((8, 1), (8, 1), (16, 2), (16, 2), (16, 2)), 5),
    "mobilenet_v2": lambda: mobilenet_v2(5),
}


def size(make: Callable[[], nn.Module]) -> int:
    with torch.device("meta"):
        return count_parameters(make())


@pytest.mark.parametrize("name", BASELINES)
def test_sizes_to_the_digit(name: str) -> None:
    assert (size(lambda: build(name, 10)), size(lambda: build(name, 100))) == SIZES[name]
    assert BASELINES[name].size == pytest.approx(SIZES[name][0] / 1e6, abs=0.1)


def test_sizes_of_other_members_of_the_families() -> None:
    """Of ResNet-20 the number 272,474 is often quoted: with option B, two 1x1 convolutions and their normalizations."""
    resnets = {depth: size(lambda depth=depth: resnet(depth, 10)) for depth in (20, 32, 44, 56)}  # type: ignore[misc]
    assert resnets == {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018}
    assert resnets[20] + 16 * 32 + 32 * 64 + 2 * (32 + 64) == 272_474
    assert size(lambda: densenet(100, 12, 10)) == 769_162
    assert size(lambda: densenet(250, 24, 10)) == pytest.approx(15.3e6, abs=0.05e6)


def test_every_record_has_a_network() -> None:
    assert set(BUILDERS) == set(BASELINES)
    assert all(record.name == name for name, record in BASELINES.items())
    assert all(name in str(NetworkSettings.model_fields["name"].description) for name in BASELINES)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("side", [16, 32, 37])
def test_forward_and_backward(name: str, side: int) -> None:
    torch.manual_seed(0)
    network = SMALL[name]()
    loss = F.cross_entropy(network(torch.randn(2, 3, side, side)), torch.tensor([0, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "resnet1202"])  # which is resnet110, but slower
def test_shapes_of_the_full_networks(name: str) -> None:
    with torch.device("meta"):
        network = build(name, 7, in_channels=1)
        for height, width in ((16, 16), (32, 48)):
            assert network(torch.empty(2, 1, height, width)).shape == (2, 7)


def test_option_a_takes_every_second_pixel_and_adds_zeros() -> None:
    shortcut = PaddedShortcut(3)
    x = torch.arange(2 * 2 * 5 * 6, dtype=torch.float32).reshape(2, 2, 5, 6)
    y = shortcut(x)
    assert count_parameters(shortcut) == 0
    assert y.shape == (2, 5, 3, 3)
    for row in range(3):
        for column in range(3):
            assert torch.equal(y[:, :2, row, column], x[:, :, 2 * row, 2 * column])
    assert not y[:, 2:].any()


def test_a_block_whose_convolutions_give_nothing_is_its_shortcut() -> None:
    for channels in (4, 8):
        block = Block(4, channels)
        nn.init.zeros_(block.residual[-1].weight)  # type: ignore[arg-type]
        x = torch.randn(2, 4, 8, 8).relu()
        assert torch.equal(block(x), x if channels == 4 else PaddedShortcut(4)(x))


def test_the_classifier_reads_the_mean_over_the_image() -> None:
    network = Classifier(nn.Identity(), 3, 2)
    x = torch.randn(4, 3, 9, 5)
    assert torch.allclose(network(x), x.mean((2, 3)) @ network.classifier.weight.T)


@pytest.mark.parametrize("name", SMALL)
def test_weights_begin_as_in_he_et_al(name: str) -> None:
    torch.manual_seed(0)
    for module in SMALL[name]().modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            wanted = (2 / (module.out_channels * module.kernel_size[0] * module.kernel_size[1])) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(wanted, rel=0.05)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            assert not module.bias.any()


def test_no_operation_without_a_reproducible_gradient() -> None:
    for make in SMALL.values():
        assert not any(isinstance(module, nn.AdaptiveAvgPool2d | nn.Dropout) for module in make().modules())


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: build("vgg19", 10), "unknown network 'vgg19'; did you mean 'vgg19_bn'"),
        (lambda: build("resnet110", 0), "num_classes of at least 1, not 0"),
        (lambda: build("resnet110", 1, in_channels=0), "in_channels of at least 1, not 0"),
        (lambda: resnet(109, 10), "6n + 2"),
        (lambda: densenet(4, 12, 10), "6n + 4"),
    ],
)
def test_what_is_refused(call: Callable[[], object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        call()
    assert expected in str(caught.value)


def test_case_does_not_matter_in_names() -> None:
    with torch.device("meta"):
        assert isinstance(build("ResNet110", 10), Classifier)


def test_the_records_need_no_torch() -> None:
    code = "import sys; from adarts.zoo.baselines import BASELINES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", BASELINES)
def test_published_recipes(name: str) -> None:
    config = train_config(network={"name": name}, data="cifar10", scale="paper")
    training, weights, images = config.training, config.weights, config.images
    epochs, batch, decay, milestones, warmup = {
        "resnet110": (164, 128, 1e-4, (0.5, 0.75), 0.01),
        "resnet1202": (164, 128, 1e-4, (0.5, 0.75), 0.01),
        "densenet_bc_190_40": (300, 64, 1e-4, (0.5, 0.75), None),
        "vgg19_bn": (164, 128, 5e-4, (0.5, 0.75), None),
        "mobilenet_v2": (200, 128, 5e-4, (), None),
    }[name]
    assert (training.epochs, training.batch_size, training.warmup_learning_rate) == (epochs, batch, warmup)
    assert (weights.learning_rate, weights.momentum, weights.weight_decay) == (0.1, 0.9, decay)
    assert (weights.milestones, weights.nesterov) == (milestones, name == "densenet_bc_190_40")
    assert (images.crop_padding, images.flip, images.cutout) == (4, True, 0)
    assert config.network.model_dump() == {
        "name": name,
        "stem_stride": None,
        "pretrained": None,
        "channels": None,
        "cells": None,
        "drop_path": 0.0,
        "auxiliary_weight": 0.0,
    }
