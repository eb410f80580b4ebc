"""A search whose steps are recorded, and whose device is looked at now and then; the CPU stands in for the GPU."""

from __future__ import annotations

import copy

import pytest
import torch

from adarts.engine.capture import WARM_UP
from adarts.errors import NotFiniteError
from adarts.searching import SearchTask
from recording import Again, run_ahead
from tiny import tiny_search

STEPS = 2 * WARM_UP  # so that both updates are replayed


def carry_out(task: SearchTask, steps: range) -> list[dict[str, float]]:
    """Epoch 0 moves the weights alone, epoch 1 the alphas, too."""
    sums = []
    for number in steps:
        epoch, step = divmod(number, STEPS)
        sums.append({name: float(value) for name, value in task.step(epoch, step % task.steps(epoch)).items()})
    return sums


def assert_equal(one: SearchTask, two: SearchTask) -> None:
    a, b = one.state_dict(), two.state_dict()
    for name, tensor in a["supernet"].items():
        assert torch.equal(tensor, b["supernet"][name]), name
    for part in ("weight_optimizer", "alpha_optimizer"):
        for index, state in a[part]["state"].items():
            assert all(torch.equal(value, b[part]["state"][index][name]) for name, value in state.items()), part
    assert all(torch.equal(*pair) for pair in zip(a["selection"], b["selection"], strict=True))


@pytest.mark.parametrize("method", ["adarts-en", "pc-darts"])
def test_a_recorded_search_is_the_plain_one(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch)
    plain = tiny_search(method)
    again = Again()
    run_ahead(monkeypatch, again)
    recorded = tiny_search(method)
    assert carry_out(recorded, range(2 * STEPS)) == carry_out(plain, range(2 * STEPS))
    assert again.recordings == 2
    assert_equal(recorded, plain)


def test_a_resume_records_anew_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Again()
    run_ahead(monkeypatch, again)
    task, resumed = tiny_search(), tiny_search()
    carry_out(task, range(STEPS + 2))
    state = copy.deepcopy(task.state_dict())
    carry_out(resumed, range(WARM_UP + 1))  # a forecast, say
    resumed.load_state_dict(state)
    before = again.recordings
    expected = carry_out(task, range(STEPS + 2, 2 * STEPS))
    assert carry_out(resumed, range(STEPS + 2, 2 * STEPS)) == expected
    assert again.recordings > before
    assert_equal(resumed, task)


def test_channels_drawn_on_the_cpu_are_never_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Again()
    run_ahead(monkeypatch, again)
    carry_out(tiny_search("darts-random-moving"), range(STEPS))
    assert again.warm_ups == 0


def test_nothing_behind_a_loss_that_is_not_finite_reaches_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch, Again())
    task = tiny_search()
    carry_out(task, range(1))
    good = copy.deepcopy(task.state_dict())
    bias = task.supernet.classifier.bias
    with torch.no_grad():
        bias.fill_(float("nan"))
    weights = [p for p in task.supernet.weight_parameters() if p is not bias]
    before = [p.detach().clone() for p in weights]
    totals = task.step(1, 1)
    assert all(torch.equal(*pair) for pair in zip(before, weights, strict=True))
    for look in (task.state_dict, lambda: task.end_epoch(1, {name: float(v) for name, v in totals.items()})):
        with pytest.raises(NotFiniteError, match=r"in one of the last .*learning rate .*alphas from"):
            look()
    task.load_state_dict(good)
    task.step(1, 1)
    task.state_dict()


@pytest.mark.parametrize("method", ["adarts", "darts", "pc-darts"])
def test_bfloat16_stays_close_to_float32(method: str) -> None:
    """Losses within 2 %, the gradient of all weights within 20 % of its norm, on batches of 8: eight bits of mantissa."""
    exact, rounded = tiny_search(method), tiny_search(method, run={"precision": "bfloat16"})
    sums, gradients = [], []
    for task in (exact, rounded):
        sums.append({name: float(value) for name, value in task.step(1, 0).items()})
        gradients.append(torch.cat([p.grad.flatten() for p in task.supernet.weight_parameters() if p.grad is not None]))
        assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in task.supernet.parameters())
        assert all(b.dtype != torch.bfloat16 for b in task.supernet.buffers())
    for name in ("loss", "alphas_loss"):
        assert sums[1][name] == pytest.approx(sums[0][name], rel=0.02) and sums[1][name] != sums[0][name]
    assert (gradients[1] - gradients[0]).norm() < 0.2 * gradients[0].norm()
