"""The forecast measures real steps, and nothing of them remains."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adarts.engine.forecast import forecast


class Counting:
    """A task whose steps count, and fail from one epoch on."""

    epochs = 3

    def __init__(self, fails_from: int) -> None:
        self.fails_from, self.weight, self.asked = fails_from, torch.zeros(2), []  # type: ignore[var-annotated]

    def steps(self, epoch: int) -> int:
        return 1

    def step(self, epoch: int, step: int) -> Mapping[str, Tensor | float]:
        self.asked.append(epoch)
        self.weight += 1
        if epoch >= self.fails_from:
            raise RuntimeError("not enough memory")
        return {}

    def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
        return {}

    def describe(self, record: Mapping[str, Any]) -> str:
        return ""

    def state_dict(self) -> dict[str, Any]:
        return {"weight": self.weight}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weight = state["weight"]

    def halve_batch(self) -> bool:
        return False


def test_every_kind_of_epoch_is_measured_and_undone() -> None:
    task = Counting(fails_from=3)
    found = forecast(task, torch.device("cpu"), [(0, 10), (1, 0), (2, 20)])
    assert re.fullmatch(r"[0-9.]+ minutes, [0-9.]*[1-9] GiB of memory", found)
    assert sorted(set(task.asked)) == [0, 2] and torch.equal(task.weight, torch.zeros(2))


def test_a_step_that_fails_gives_no_forecast_and_is_undone_too() -> None:
    task = Counting(fails_from=1)
    assert forecast(task, torch.device("cpu"), [(0, 1), (2, 1)]) == "not known"
    assert torch.equal(task.weight, torch.zeros(2))
