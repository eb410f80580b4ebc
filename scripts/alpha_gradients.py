#!/usr/bin/env python
"""Which operation would win each edge, if alphas followed the mean gradient at their initial values (experiment E3)?

    python scripts/alpha_gradients.py --method adarts pc-darts --seed 40 41 42 > results/collapse/e3.json

The weights of a NAS-Bench-201 supernet are trained at scale cpu with a constant learning rate while the alphas stay at their
initial values. After 300, 1,200 and 3,900 steps, the gradient of the alphas is averaged over 100 batches of the half for the
alphas. An alpha grows if its gradient is negative, so the operation with the most negative mean gradient would win its edge.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from adarts.data import load_images
from adarts.engine.environment import environment
from adarts.methods import create
from adarts.searching import SearchTask, search_config

STEPS = 300, 1200, 3900
BATCHES = 100
RATE = {"learning_rate": 0.025, "final_learning_rate": 0.025, "nesterov": True, "weight_decay": 5e-4}


def main() -> None:
    """Measure every method and seed, and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", default=["adarts", "pc-darts"])
    parser.add_argument("--seed", nargs="+", type=int, default=[40, 41, 42])
    parser.add_argument("--data", default="cifar10")
    arguments = parser.parse_args()
    runs = []
    for method in arguments.method:
        for seed in arguments.seed:
            runs += measured(method, seed, arguments.data)
            print(method, seed, *(f"{run['steps']}: {run['winners']}" for run in runs[-len(STEPS) :]), file=sys.stderr)
    json.dump({"environment": environment(torch.device("cpu")), "batches": BATCHES, "runs": runs}, sys.stdout, indent=1)


def measured(method: str, seed: int, data: str) -> list[dict[str, Any]]:
    """The mean gradients of one search after each number of steps."""
    epochs = STEPS[-1] // 30
    config = search_config(
        method=method,
        seed=seed,
        data=data,
        space="nasbench201",
        scale="cpu",
        weights=RATE,
        search={"epochs": epochs + 1, "warmup_epochs": epochs, "steps": 30},
    )
    task = SearchTask(config, load_images(config.data, config.images, seed), create(config), torch.device("cpu"))
    found = []
    for step in range(STEPS[-1]):
        task.step(*divmod(step, 30))
        if step + 1 in STEPS:
            found.append({"method": method, "seed": seed, "steps": step + 1, **mean_gradient(task)})
    return found


def mean_gradient(task: SearchTask) -> dict[str, Any]:
    """The mean gradient of the alphas with its standard error, and how many edges each operation would win."""
    net = task.supernet
    (alphas,) = net.alphas.values()
    net.train()
    alphas.requires_grad_()  # the updates of the weights have frozen them
    gradients: list[Tensor] = []
    for number in range(BATCHES):
        task.go_to(task.config.search.warmup_epochs, number)  # another batch for each number
        x_bchw, y_b = task.batch("alphas")
        weights = task.method.arch_weights(task, "alphas", x_bchw, y_b)  # type: ignore[arg-type]
        loss, _ = task.loss(x_bchw, y_b, weights)
        gradients.append(torch.autograd.grad(loss, alphas)[0])
    alphas.requires_grad_(False)
    all_neo = torch.stack(gradients).double()
    mean_eo, error_eo = all_neo.mean(0), all_neo.std(0) / BATCHES**0.5
    names = net.space.operations
    winners = Counter(names[index] for index in mean_eo.argmin(-1).tolist())
    return {"winners": dict(winners), "mean": mean_eo.tolist(), "standard_error": error_eo.tolist()}


if __name__ == "__main__":
    main()
