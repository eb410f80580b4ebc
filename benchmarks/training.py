#!/usr/bin/env python
"""Images a second of the training of a found network, and of the batches it takes: prints one JSON line.

Ours with and without native kernels, beside the same network in torch's own modules, one after the other in NCHW, as the public
codes train it. With auxiliary head and drop path, crop, flip and cutout; the step is `TrainTask.step` in the last epoch.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from measure import in_turn, parser, provenance, ratio
from steps import CLASSES, Step, synthetic
from torch import Tensor, nn

from adarts import kernels
from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.models import Network
from adarts.training import train_config
from adarts.training.model import resolve_genotype
from adarts.training.task import TrainTask


class PlainNetwork(Network):
    """The network in torch's own modules wherever the package has one that fuses its parts."""

    memory_format = torch.contiguous_format

    def __init__(self, *facts: Any, **named: Any) -> None:
        super().__init__(*facts, **named)
        in_torch_modules(self)
        for cell in self.cells:
            cell.register_forward_hook(require_nchw)


def in_torch_modules(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, in_torch_modules(child))
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm2d(module.num_features, affine=module.affine)
    return nn.Sequential(*module) if isinstance(module, nn.Sequential) else module


def require_nchw(cell: nn.Module, inputs: tuple[Any, ...], output_bchw: Tensor) -> None:
    if not output_bchw.is_contiguous():
        raise RuntimeError("the plain loop has left NCHW, so it is no yardstick")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--genotype", default="ADARTS_V1", help="what `adarts train --genotype` takes")
    options.set_defaults(batch=96)
    chosen = options.parse_args()
    device = prepare_device(RunSettings(device=chosen.device, threads=chosen.threads))
    network = {"channels": chosen.channels, "cells": chosen.cells}
    config = train_config(
        genotype=chosen.genotype, data="synthetic", network=network, training={"batch_size": chosen.batch}
    )
    data = synthetic(2 * chosen.batch, chosen.size)

    def task(kind: type[Network], choice: kernels.Choice) -> tuple[TrainTask, Step]:
        kernels.use(choice)
        torch.manual_seed(0)
        cells = resolve_genotype(chosen.genotype)
        net = kind(cells, CLASSES, chosen.channels, chosen.cells, auxiliary=True).to(device)
        one = TrainTask(config, data, net, device)

        def step() -> None:
            kernels.use(choice)
            one.step(one.epochs - 1, 0)

        return one, step

    tasks = {
        "plain": task(PlainNetwork, "torch"),
        "ours, torch": task(Network, "torch"),
        "ours": task(Network, "auto"),
    }
    steps: dict[str, Callable[[], object]] = {name: step for name, (_, step) in tasks.items()}
    batches, number = tasks["ours"][0].batches, itertools.count()
    steps["batches alone"] = lambda: batches.batch(0, next(number) % len(batches))
    rounds = in_turn(steps, chosen.repeats, device)
    found = {
        name: {
            "images_per_second": chosen.batch / median(mine),
            "speedup": ratio(rounds["plain"], mine),
            "rounds": mine,
        }
        for name, mine in rounds.items()
    }
    print(json.dumps({**found, "provenance": provenance(device)}))


if __name__ == "__main__":
    main()
