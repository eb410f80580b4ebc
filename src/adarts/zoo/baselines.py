"""The records of the hand-designed networks: papers, published figures, training recipes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from adarts.config.values import folded
from adarts.errors import ConfigError, nearest
from adarts.zoo.records import Baseline


def _recipe(
    epochs: int,
    batch_size: int,
    weight_decay: float,
    *,
    learning_rate: float = 0.1,
    nesterov: bool = False,
    in_steps: bool = True,
    **training: Any,
) -> dict[str, dict[str, Any]]:
    """The common recipe: SGD with momentum 0.9, unless `training` says otherwise, crop and flip, no settings of cells."""
    return {
        "network": {"channels": None, "cells": None, "drop_path": 0.0, "auxiliary_weight": 0.0},
        "training": {"epochs": epochs, "batch_size": batch_size, **training},
        "weights": {
            "learning_rate": learning_rate,
            "milestones": (0.5, 0.75) if in_steps else (),
            "momentum": 0.9,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "clip": math.inf,
        },
        "images": {"crop_padding": 4, "flip": True, "cutout": 0},
    }


# 64,000 iterations of 128 images, with steps at 32,000 and 48,000: half and three quarters of 164 epochs.
_RESNET = _recipe(epochs=164, batch_size=128, weight_decay=1e-4, warmup_learning_rate=0.01)
_RESNET_PAPER = "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016"

_RECORDS = (
    Baseline(
        name="resnet110",
        title="ResNet-110",
        paper=_RESNET_PAPER,
        year=2016,
        cifar10_error=6.43,
        cifar100_error=25.16,
        size=1.7,
        parameters=1_727_962,
        recipe=_RESNET,
        remarks=("The paper has no CIFAR-100; 25.16 % is the figure of ResNet-164 in the paper on pre-activation.",),
    ),
    Baseline(
        name="resnet1202",
        title="ResNet-1202",
        paper=_RESNET_PAPER,
        year=2016,
        cifar10_error=7.93,
        cifar100_error=27.82,
        size=19.4,
        figures="Table I of the ADARTS paper, the size by its own paper",
        parameters=19_421_274,
        recipe=_RESNET,
        remarks=(
            "Table I of the ADARTS paper gives it 10.2 M parameters; the network's own paper says 19.4 M. The paper has no "
            "CIFAR-100; 27.82 % is the figure of ResNet-1001 in the paper on pre-activation.",
        ),
    ),
    Baseline(
        name="densenet_bc_190_40",
        title="DenseNet-BC (L=190, k=40)",
        paper="Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, CVPR 2017",
        year=2017,
        cifar10_error=3.46,
        cifar100_error=17.18,
        size=25.6,
        parameters=25_624_430,
        recipe=_recipe(epochs=300, batch_size=64, weight_decay=1e-4, nesterov=True),
    ),
    Baseline(
        name="vgg19_bn",
        title="VGG-19 with batch normalization",
        paper="Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015",
        year=2015,
        cifar10_error=6.66,
        cifar100_error=28.05,
        size=20.1,
        parameters=20_040_522,
        recipe=_recipe(epochs=164, batch_size=128, weight_decay=5e-4),
        remarks=(
            "The paper has no CIFAR; network, recipe and both errors are from github.com/bearpaw/pytorch-classification, "
            "which lowers the rate after 81 and 122 epochs, here after 82 and 123.",
        ),
    ),
    Baseline(
        name="mobilenet_v2",
        title="MobileNetV2",
        paper="Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
        year=2018,
        cifar10_error=4.26,
        cifar100_error=19.20,
        size=2.2,
        parameters=2_236_682,
        recipe=_recipe(epochs=200, batch_size=128, weight_decay=5e-4, in_steps=False),
        remarks=(
            "The paper has no CIFAR. The source of the quoted errors is unknown, and networks trained on CIFAR alone do not "
            "reach them. The recipe is that of public CIFAR codes.",
        ),
    ),
)

TIMM = "timm:"
"""Prefix of the networks of the package timm, e.g. ``timm:mobilenetv3_small_050``."""

# timm publishes no recipe for small images. With that of MobileNetV2 (SGD, 0.1), its small networks hardly learned in short
# trainings (results/run).
_TIMM_RECIPE = _recipe(
    epochs=200, batch_size=128, weight_decay=0.05, learning_rate=0.001, in_steps=False, optimizer="adamw"
)

BASELINES: dict[str, Baseline] = {record.name: record for record in _RECORDS}


def recipe_of(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The training settings of a hand-designed network or a network of timm; raises as :func:`get_baseline`."""
    return _TIMM_RECIPE if name.startswith(TIMM) else get_baseline(name).recipe


def title_of(name: str) -> str:
    """The usual name of a hand-designed network or a network of timm; raises as :func:`get_baseline`."""
    return f"{name.removeprefix(TIMM)} of timm" if name.startswith(TIMM) else get_baseline(name).title


def get_baseline(name: str) -> Baseline:
    """The record of a hand-designed network by name; case does not matter.

    Raises:
        ConfigError: the name is unknown; the message has the nearest one.
    """
    found = BASELINES.get(folded(name))
    if found is None:
        raise ConfigError(f"unknown network '{name[:60]}'{nearest(folded(name[:60]), BASELINES)}")
    return found
