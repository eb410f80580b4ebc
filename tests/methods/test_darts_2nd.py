"""The second-order gradient against exact derivatives, and what it leaves alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from adarts import kernels
from adarts.engine.capture import WARM_UP
from adarts.methods import darts_2nd
from adarts.methods.batch_gradient import weights_of
from adarts.searching import SearchTask
from adarts.spaces import DARTS
from adarts.supernet import ArchWeights
from recording import Again, run_ahead
from tiny import tiny_search

DESIGNS = {
    "darts": {},
    "adarts-en": {"selector": "attention", "k": 2, "attention": True, "normalization": True},
    "random": {"selector": "random", "k": 2},
}


def search(edge: dict[str, object] | None = None, **changes: object) -> SearchTask:
    """A search that has momentum, before the update of the alphas."""
    small = {
        "supernet": {"channels": 4, "cells": 3},
        "images": {"per_class": 2, "size": 8},
        "search": {"epochs": 4, "batch_size": 4, "warmup_epochs": 1},
    }
    task = tiny_search("darts-2nd", edge=edge or {}, **{**small, **changes})
    task.step(0, 0)
    task.step(0, 1)
    task.supernet.train()
    task.go_to(1, 0)
    for alphas in task.supernet.alpha_parameters():
        alphas.requires_grad_()
    for weights in task.supernet.weight_parameters():
        weights.requires_grad_(False)
    return task


def in_double(task: SearchTask) -> SearchTask:
    task.supernet.double()
    for state in task.weight_optimizer.state.values():
        state["momentum_buffer"] = state["momentum_buffer"].double()
    return task


def batches(task: SearchTask) -> list[Tensor]:
    tensors = [*task.batch("alphas"), *task.batch("weights")]
    return [t.to(task.supernet.classifier.weight.dtype) if t.is_floating_point() else t for t in tensors]


def gradient(task: SearchTask, parts: int = 1) -> Tensor:
    """The method's gradient of all alphas, in one vector."""
    own = task.method.alpha_gradient(task)
    assert own is not None
    own(parts, *batches(task))
    return torch.cat([p.grad.flatten() for p in task.supernet.alpha_parameters() if p.grad is not None])


def exact(task: SearchTask, parts: int = 1) -> tuple[Tensor, Tensor]:
    """The gradient by derivatives of derivatives, and that part of it which the step of the weights brings in."""
    net, settings = task.supernet, task.config.weights
    x_bchw, y_b, train_x_bchw, train_y_b = batches(task)
    alphas = net.alpha_parameters()

    def loss(x_bchw: Tensor, y_b: Tensor, weights: dict[str, Tensor]) -> Tensor:
        chunks = zip(x_bchw.tensor_split(parts), y_b.tensor_split(parts), strict=True)
        arch_weights = ArchWeights(net.operation_weights(), net.edge_weights())
        return sum(task.loss(x, y, arch_weights, parameters=weights)[0] * len(y) / len(y_b) for x, y in chunks)  # type: ignore

    weights = {name: w.requires_grad_() for name, w in weights_of(net).items()}
    step = torch.autograd.grad(loss(train_x_bchw, train_y_b, weights), list(weights.values()), create_graph=True)
    momentum = task.momentum()
    ahead = {
        name: w - task.rate * (settings.momentum * momentum[name] + g + settings.weight_decay * w)
        for (name, w), g in zip(weights.items(), step, strict=True)
    }
    through = loss(x_bchw, y_b, ahead)
    total = torch.autograd.grad(through, alphas)
    apart = {name: w.detach() for name, w in ahead.items()}
    own = torch.autograd.grad(loss(x_bchw, y_b, apart), alphas)
    return tuple(torch.cat([g.flatten() for g in part]) for part in (total, own))  # type: ignore[return-value]


def error(task: SearchTask, radius: float, parts: int = 1) -> float:
    """Of that part of the gradient which the step of the weights brings in."""
    expected, own = exact(task, parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(darts_2nd, "RADIUS", radius)
        return float((gradient(task, parts) - expected).norm() / (expected - own).norm())


@pytest.mark.parametrize("design", ["darts", "adarts-en"])
@pytest.mark.parametrize("parts", [1, 2])
def test_it_is_the_exact_gradient(design: str, parts: int) -> None:
    """Between two kinks of ReLU and max pooling, which lie close."""
    with kernels.using("torch"):
        task = in_double(search(DESIGNS[design]))
        assert task.momentum()
        assert error(task, 1e-7, parts) < 1e-5


def test_without_kinks_the_published_radius_is_good_and_a_smaller_one_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "relu", lambda x, inplace=False: torch.nn.functional.softplus(x, 4))
    with kernels.using("torch"):
        task = in_double(search())
        for kind, active_eo in task.supernet.active.items():
            active_eo[:, DARTS.operations.index("max_pool_3x3")] = False
            task.supernet.set_active(kind, active_eo.tolist())
        assert darts_2nd.RADIUS == 0.01
        published, smaller = error(task, 1e-2), error(task, 1e-3)
    assert published < 0.05
    assert smaller == pytest.approx(published / 100, rel=0.1)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_step_ahead_is_that_of_sgd(nesterov: bool) -> None:
    task = search(weights={"nesterov": nesterov})
    weights = weights_of(task.supernet)
    gradient = [
        torch.randn(w.shape, generator=torch.Generator().manual_seed(i)) for i, w in enumerate(weights.values())
    ]
    step = darts_2nd._sgd_step(task, weights, gradient)
    expected = [w - task.rate * s for w, s in zip(weights.values(), step, strict=True)]
    for parameter, own in zip(task.supernet.weight_parameters(), gradient, strict=True):
        parameter.grad = own
    task.weight_optimizer.param_groups[0]["lr"] = task.rate
    task.weight_optimizer.step()
    for one, other in zip(expected, task.supernet.weight_parameters(), strict=True):
        torch.testing.assert_close(one, other.detach())


@pytest.mark.parametrize("design", DESIGNS)
def test_five_passes_move_nothing_but_the_alphas(design: str) -> None:
    task = search(DESIGNS[design])
    net = task.supernet
    grads = [p.grad for p in net.weight_parameters()]
    before, momenta = copy.deepcopy(net.state_dict()), copy.deepcopy(task.momentum())
    chosen: list[list[Tensor]] = []
    hook = net.register_forward_hook(lambda *_: chosen.append(net.selection.cells))
    gradient(task)
    assert len(chosen) == 4
    hook.remove()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(torch.equal(tensor, momenta[name]) for name, tensor in task.momentum().items())
    assert all(p.grad is own for p, own in zip(net.weight_parameters(), grads, strict=True))
    training, _, plus, minus = chosen
    for other in (plus, minus):
        assert all(torch.equal(*pair) for pair in zip(training, other, strict=True))

    net.register_forward_hook(lambda *_: chosen.append(net.selection.cells))
    task.step(1, 0)
    assert len(chosen) == 4 + 5


def test_recomputed_cells_see_the_weights_of_their_pass() -> None:
    plain, again = (search(supernet={"channels": 4, "cells": 3, "recompute": recompute}) for recompute in (False, True))
    assert torch.equal(gradient(plain), gradient(again))


def test_a_precise_loss_is_that_of_a_run_in_float32() -> None:
    plain, rounded = search(), search(run={"precision": "bfloat16"})
    rounded.load_state_dict(copy.deepcopy(plain.state_dict()))
    losses = []
    for task, precise in ((plain, False), (rounded, True), (rounded, False)):
        net, (x_bchw, y_b) = task.supernet, task.batch("weights")
        losses.append(task.loss(x_bchw, y_b, ArchWeights(net.operation_weights()), precise=precise)[0])
    assert losses[0] == losses[1] != losses[2]


def test_a_recorded_search_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch)
    plain = search()
    again = Again()
    run_ahead(monkeypatch, again)
    recorded = search()
    steps = [(1, step) for step in range(WARM_UP + 1)] + [(2, step) for step in range(WARM_UP + 2)]
    for epoch, step in steps:
        sums = [task.step(epoch, step % task.steps(epoch)) for task in (plain, recorded)]
        assert [float(v) for v in sums[0].values()] == [float(v) for v in sums[1].values()]
    assert again.recordings == 4  # either update in either epoch
