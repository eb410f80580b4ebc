"""Channels that no longer change: what the search keeps fixed from the end of the warm-up on, and what goes on."""

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from adarts.engine.capture import WARM_UP
from adarts.errors import ConfigError
from adarts.searching import SearchTask
from adarts.testing import assert_equal_states
from recording import Again, run_ahead
from tiny import tiny_search

ATTENTION = {"selector": "attention", "k": 4, "attention": True, "freeze": True}
PERSISTENT = {**ATTENTION, "slots": "persistent"}
RANDOM = {"selector": "random", "k": 4, "attention": False, "freeze": True}
STEPS = WARM_UP + 1
WARM, FIRST = 2, 2  # epochs of warm-up, and the first epoch after it


def search(edge: dict[str, Any], method: str = "adarts", **loop: Any) -> SearchTask:
    return tiny_search(method, space="nasbench201", edge=edge, search={"epochs": 4, "warmup_epochs": WARM, **loop})


def steps(task: SearchTask, epoch: int, count: int = STEPS) -> list[list[Tensor]]:
    """Run steps of an epoch, and return the channels of each update of the weights."""
    chosen = []
    for step in range(count):
        task.step(epoch, step % task.steps(epoch))
        chosen.append([cell.clone() for cell in task.selection.cells])
    return chosen


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def memory(task: SearchTask) -> list[Tensor]:
    """What the choice remembers of earlier batches."""
    state = task.supernet.state_dict()
    return [tensor.clone() for name, tensor in state.items() if name.endswith((".average", ".slots"))]


@pytest.mark.parametrize("method", ["adarts", pytest.param("darts-2nd", marks=pytest.mark.full)])
def test_attention_moves_the_channels_in_the_warm_up_and_never_after_it(method: str) -> None:
    task = search(PERSISTENT, method)
    warm = steps(task, 0, 3)
    assert any(not same(*pair) for pair in pairwise(warm))
    before = memory(task)
    weights = [p.detach().clone() for n, p in task.supernet.named_parameters() if ".attention." in n]
    fixed = steps(task, FIRST, 2)
    assert same(*fixed) and same(memory(task), before)
    now = [p for n, p in task.supernet.named_parameters() if ".attention." in n]
    assert all(not torch.equal(*pair) for pair in zip(weights, now, strict=True))  # attention goes on learning
    # All other passes, too: of the alphas, of a measurement, and of the validation.
    task.update("alphas")
    assert same(task.supernet.selection.cells, fixed[0])
    task.measure(task.method.expected_arch_weights(task))
    assert same(task.supernet.selection.cells, fixed[0])
    task.validate()
    assert same(task.supernet.selection.cells, fixed[0])


def test_a_random_choice_is_drawn_once_for_every_edge_and_seed() -> None:
    task = search(RANDOM)
    chosen = steps(task, 0, 2) + steps(task, FIRST, 2)
    assert all(same(*pair) for pair in pairwise(chosen))
    assert all(len(cell.squeeze(0).unique(dim=0)) > 1 for cell in chosen[0])  # the edges differ
    again, other = search(RANDOM), tiny_search("adarts", space="nasbench201", edge=RANDOM, seed=1)
    assert same(steps(again, 0, 1)[0], chosen[0]) and not same(steps(other, 0, 1)[0], chosen[0])


def test_a_resume_across_the_end_of_the_warm_up_changes_nothing() -> None:
    task = search(PERSISTENT)
    steps(task, WARM - 1, 1)
    resumed = search(PERSISTENT)
    steps(resumed, FIRST, 1)  # a forecast, say
    for epoch in (WARM - 1, FIRST):
        resumed.load_state_dict(copy.deepcopy(task.state_dict()))
        for each in (task, resumed):
            steps(each, epoch, 1)
            steps(each, FIRST, 1)
        assert_equal_states(resumed.state_dict(), task.state_dict())


def test_a_recorded_search_is_recorded_again_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch)
    plain = search(PERSISTENT)
    again = Again()
    run_ahead(monkeypatch, again)
    recorded = search(PERSISTENT)
    for task in (plain, recorded):
        steps(task, 0)
        steps(task, FIRST)
    assert again.recordings == 3  # the weights twice, the alphas once
    assert_equal_states(recorded.state_dict(), plain.state_dict())


def test_a_random_choice_that_stays_can_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Again()
    run_ahead(monkeypatch, again)
    steps(search(RANDOM), 0)
    assert again.recordings == 1


def test_without_a_warm_up_there_is_nothing_to_keep() -> None:
    with pytest.raises(ConfigError, match=r"edge\.freeze needs a warm-up"):
        search(ATTENTION, warmup_epochs=0)
    search(RANDOM, warmup_epochs=0)
    search(ATTENTION, "darts-pt")  # its second phase has no warm-up, and continues with the supernet of the first
