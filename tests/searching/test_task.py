"""One step of the search: what it moves, and what it leaves alone."""

import copy

import pytest
import torch

from adarts.engine.forecast import forecast
from adarts.errors import CheckpointError, NotFiniteError
from adarts.methods import Purpose
from adarts.testing import at, moved, snapshot
from tiny import tiny_search


@pytest.mark.parametrize("method", ["adarts", "gdas"])
def test_each_update_moves_its_own_parameters_alone(method: str) -> None:
    task = tiny_search(method)
    net = task.supernet
    weights, alphas = net.weight_parameters(), net.alpha_parameters()
    before = snapshot(weights), snapshot(alphas)
    at(task, 1).update("alphas")
    assert not any(moved(before[0], weights)) and all(moved(before[1], alphas))
    before = snapshot(weights), snapshot(alphas)
    at(task, 1).update("weights")
    assert not any(moved(before[1], alphas))
    assert task._arch_weights is not None
    # What was not drawn was not computed either.
    computed = [p for p in weights if task._arch_weights.active is None or p.grad is not None]
    assert sum(moved(before[0], weights)) > 0.95 * len(computed)


def test_alphas_are_frozen_in_the_warm_up_epochs() -> None:
    task = tiny_search()
    before = snapshot(task.supernet.alpha_parameters())
    sums = task.step(0, 0)
    assert not any(moved(before, task.supernet.alpha_parameters())) and "alphas_loss" not in sums
    sums = task.step(1, 0)
    assert all(moved(before, task.supernet.alpha_parameters())) and "alphas_loss" in sums


def test_the_halves_share_no_image_and_both_are_used_up() -> None:
    task = tiny_search()
    weights, alphas = (set(b.indices.tolist()) for b in (task.weight_batches, task.alpha_batches))
    assert not weights & alphas and len(weights) == len(alphas) == 20


@pytest.mark.parametrize("purpose", ["weights", "alphas"])
@pytest.mark.parametrize("steps", [2, 7])
def test_an_epoch_continues_where_the_one_before_ended(purpose: Purpose, steps: int) -> None:
    loop = {"epochs": 6, "batch_size": 4, "warmup_epochs": 1}
    one, two = tiny_search(search=loop), tiny_search(search={**loop, "steps": steps})
    assert (one.steps(0), two.steps(0)) == (5, steps)
    for step in range(12):  # more than two passes through the images
        expected, got = (at(task, *divmod(step, task.steps(0))).batch(purpose) for task in (one, two))
        assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True)), step


def test_the_supernet_is_measured_on_mixed_batches_always_the_same() -> None:
    task = tiny_search(images={"per_class": 20, "size": 16})
    first, again = ([task.validation.batch(0, step) for step in range(len(task.validation))] for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first[0], again[0], strict=True))
    assert all(len(labels.unique()) > 3 for _, labels in first[:-1])  # a folder lists one class after the other


def test_a_batch_in_parts_keeps_the_sums_and_stays_close_to_the_whole() -> None:
    whole, parts = tiny_search(), tiny_search()
    assert parts.halve_batch() and parts.accumulation == 2
    a, b = whole.step(0, 0), parts.step(0, 0)
    assert a["images"] == b["images"] == 8
    assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=0.2)  # the normalization sees smaller batches
    assert parts.halve_batch() and not parts.halve_batch()


def test_a_loss_that_is_not_finite_stops_before_the_update() -> None:
    task = tiny_search()
    with torch.no_grad():
        task.supernet.classifier.bias.fill_(float("nan"))
    before = snapshot(task.supernet.weight_parameters()[:-1])
    with pytest.raises(NotFiniteError, match="loss of the weights is nan"):
        at(task, 0).update("weights")
    assert not any(moved(before, task.supernet.weight_parameters()[:-1]))


def test_state_round_trips_bit_for_bit() -> None:
    one, two = tiny_search(), tiny_search()
    one.step(1, 0)
    two.step(1, 1)
    two.load_state_dict(copy.deepcopy(one.state_dict()))  # a checkpoint shares no memory with what it was made of
    for task in (one, two):
        task.step(1, 1)
    for name, tensor in one.supernet.state_dict().items():
        assert torch.equal(tensor, two.supernet.state_dict()[name]), name


@pytest.mark.parametrize("method", ["adarts", "darts-random-moving"])
def test_an_epoch_that_ends_after_a_resume_gives_the_same_record(method: str) -> None:
    validate = {"search": {"epochs": 4, "batch_size": 8, "warmup_epochs": 1, "validate_supernet": True}}
    task, resumed = tiny_search(method, **validate), tiny_search(method, **validate)
    totals: dict[str, float] = {}
    for step in range(task.steps(1)):
        for name, value in task.step(1, step).items():
            totals[name] = totals.get(name, 0.0) + float(value)
    forecast(resumed, torch.device("cpu"), [(3, 1)])  # what a resumed process does before it loads the checkpoint
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    assert resumed.end_epoch(1, dict(totals)) == task.end_epoch(1, dict(totals))


def test_other_images_are_refused_on_resume() -> None:
    state = tiny_search().state_dict()
    with pytest.raises(CheckpointError, match="images have changed since the run began"):
        tiny_search(images={"per_class": 5, "size": 16}).load_state_dict(state)


def test_a_gradient_that_is_not_finite_stops_before_the_update() -> None:
    task = tiny_search()
    weights = task.supernet.weight_parameters()
    weights[0].register_hook(lambda gradient: gradient * float("inf"))
    before = snapshot(weights)
    with pytest.raises(NotFiniteError, match=r"gradient of the weights .*learning rate .*alphas from"):
        task.step(0, 0)
    assert not any(moved(before, weights))
