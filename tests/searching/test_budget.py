"""How many updates the alphas get, and when these cannot decide."""

from __future__ import annotations

import math
import re

import pytest
import torch

from adarts.config.settings import AlphaOptimizer, EdgeDesign, SupernetSettings
from adarts.engine.optimizers import adam
from adarts.methods import Phase
from adarts.searching.budget import alpha_updates, too_few_updates
from tiny import tiny_search


def phase(epochs: int, warmup: int) -> Phase:
    return Phase(epochs, warmup, SupernetSettings(), EdgeDesign())


@pytest.mark.parametrize("method", ["adarts", "p-darts", "snas", "darts-pt"])
def test_the_updates_are_those_that_adam_counts(method: str) -> None:
    task = tiny_search(method, search={"epochs": 2, "batch_size": 8, "warmup_epochs": 1})
    steps, done = task.steps(0), []
    for epoch in range(task.phases[0].epochs):
        for step in range(steps):
            task.step(epoch, step)
    done = [int(state["step"]) for state in task.alpha_optimizer.state.values()]
    assert alpha_updates(task.order, task.phases, steps, task.epochs)[0] == max(done)


def test_the_phases_add_up_and_an_early_end_counts() -> None:
    def order(progress: object) -> tuple[str, ...]:
        return "alphas", "weights"

    phases = (phase(5, 2), phase(4, 0))
    assert alpha_updates(order, phases, 10, 9) == [30, 40]  # type: ignore[arg-type]
    assert alpha_updates(order, phases, 10, 6) == [30, 10]  # type: ignore[arg-type]
    assert alpha_updates(order, phases, 10, 3) == [10, 0]  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [6e-4, 0.003, 0.03])
@pytest.mark.parametrize("per_epoch", [1, 3])
def test_what_the_warning_advises_is_just_enough(rate: float, per_epoch: int) -> None:
    loop, updates = phase(4, 1), 3 * per_epoch
    warning = too_few_updates(updates, rate, loop)
    assert warning is not None and warning.startswith(f"{updates} updates of the alphas cannot decide")
    epochs, advised = re.findall(r"--search.epochs (\d+) or more, or --alphas.learning-rate ([\d.e-]+) ", warning)[0]
    longer = phase(int(epochs), 1)
    assert too_few_updates(per_epoch * (longer.epochs - 1), rate, longer) is None
    assert too_few_updates(per_epoch * (longer.epochs - 2), rate, longer) is not None
    assert too_few_updates(updates, float(advised), loop) is None
    assert too_few_updates(updates, 0.9 * float(advised), loop) is not None


def test_adam_at_full_speed_gains_a_clear_lead_when_the_warning_ends() -> None:
    """One operation is always pulled up, the others always down."""
    alphas = torch.nn.Parameter(torch.zeros(5))
    optimizer = adam([alphas], AlphaOptimizer(learning_rate=0.01, weight_decay=0))
    gradient, updates = torch.tensor([-1.0, 1, 1, 1, 1]), 0
    while too_few_updates(updates, 0.01, phase(2, 1)):
        alphas.grad = gradient.clone()
        optimizer.step()
        updates += 1
    weights = alphas.detach().softmax(0)
    assert updates == math.ceil(50 * math.log(2))
    assert 2 <= float(weights[0] / weights[1]) < 2.05
