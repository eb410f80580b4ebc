"""SDARTS: how far operation weights are moved, that an attack raises the loss, and what it leaves alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from adarts.methods import Progress
from adarts.methods.sdarts import SdartsAdv, SdartsRs, attack, drawn_nearby, simplex
from adarts.searching import SearchTask
from adarts.supernet import ArchWeights
from tiny import tiny_search

UNIFORM = {"normal": torch.full((14, 8), 0.125)}
ALL = {"normal": torch.ones(14, 8, dtype=torch.bool)}


def go(method: str, **changes: object) -> SearchTask:
    task = tiny_search(method, **changes)
    task.supernet.train()
    task.go_to(3, 0)
    return task


def moved(task: SearchTask) -> Mapping[str, Tensor]:
    torch.manual_seed(0)
    return task.method.arch_weights(task, "weights", *task.batch("weights")).operations


def test_epsilon_has_the_published_values() -> None:
    method = SdartsRs(SdartsRs.Options())
    assert method.epsilon(Progress(0, 0, 50, 1)) == pytest.approx(0.03)
    assert method.epsilon(Progress(0, 25, 50, 1)) == pytest.approx(0.165)
    assert method.epsilon(Progress(0, 50, 50, 1)) == pytest.approx(0.30)
    assert SdartsAdv.Options().steps == 7


def test_weights_are_clipped_and_brought_to_the_sum_one() -> None:
    q_eo = torch.tensor([[0.3, 0.3, -0.2], [1.5, -1.0, 1.0], [-0.3, -0.1, -0.2], [0.9, -0.3, -0.2], [0.4, 0.1, 0.7]])
    active_eo = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 0, 0]]).bool()
    expected_eo = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(simplex(q_eo, active_eo), expected_eo)


@pytest.mark.parametrize("adversarial", [False, True])
def test_no_weight_moves_further_than_epsilon_before_the_sum_is_one(adversarial: bool) -> None:
    torch.manual_seed(0)
    epsilon = 0.03
    slope_eo = torch.randn(14, 8)
    if adversarial:
        found = attack(lambda q: (slope_eo * q["normal"]).sum(), UNIFORM, ALL, epsilon, steps=7)
    else:
        found = drawn_nearby(UNIFORM, ALL, epsilon)
    q_eo = found["normal"]
    torch.testing.assert_close(q_eo.sum(1), torch.ones(14))
    ratio_e = q_eo.amax(1) / q_eo.amin(1)
    assert ratio_e.max() <= (0.125 + epsilon) / (0.125 - epsilon) + 1e-5
    assert ratio_e.mean() > 1.3
    if adversarial:  # up where the loss rises, down where it falls
        ups_e = q_eo.masked_fill(slope_eo < 0, 1.0).amin(1)
        downs_e = q_eo.masked_fill(slope_eo > 0, 0.0).amax(1)
        assert (ups_e > downs_e).all()


def test_an_attack_that_finds_nothing_worse_returns_the_clean_weights() -> None:
    clean = {"normal": torch.rand(14, 8).softmax(1)}
    found = attack(lambda q: -(q["normal"] - clean["normal"]).square().sum(), clean, ALL, 0.3, steps=7)
    assert torch.equal(found["normal"], clean["normal"])


@pytest.mark.parametrize("method", ["sdarts-rs", "sdarts-adv"])
def test_only_the_weights_learn_with_moved_operation_weights_and_only_with_active_ones(method: str) -> None:
    task = go(method)
    net = task.supernet
    for kind, active_eo in net.active.items():
        active_eo[:, 3] = active_eo[5] = False
        net.set_active(kind, active_eo.tolist())
    clean = net.operation_weights()
    alphas = task.method.arch_weights(task, "alphas", *task.batch("alphas")).operations
    for kind, q_eo in moved(task).items():
        assert torch.equal(alphas[kind], clean[kind])
        assert not q_eo[:, 3].any() and not q_eo[5].any()
        others = [edge for edge in range(14) if edge != 5]
        torch.testing.assert_close(q_eo[others].sum(1), torch.ones(13))
        assert (q_eo - clean[kind]).abs().max() > 0.05


@pytest.mark.parametrize("edge", [{}, {"selector": "attention", "k": 4, "attention": True, "normalization": True}])
def test_an_attack_raises_the_loss_and_changes_nothing(edge: dict[str, object]) -> None:
    task = go("sdarts-adv", edge=edge)
    net = task.supernet
    task.update("weights")  # running statistics that know a batch
    before = copy.deepcopy(net.state_dict())
    flags = [(p.requires_grad, p.grad) for p in net.parameters()]
    found = moved(task)
    assert net.training
    assert all(
        p.requires_grad == wanted and p.grad is grad for p, (wanted, grad) in zip(net.parameters(), flags, strict=True)
    )
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name

    net.eval()
    x_bchw, y_b = task.batch("weights")
    with torch.no_grad():
        clean, worst, drawn = (
            task.loss(x_bchw, y_b, ArchWeights(operations, net.edge_weights()), selection=net.selection)[0]
            for operations in (
                net.operation_weights(),
                found,
                drawn_nearby(net.operation_weights(), net.active, 0.2325),
            )
        )
    assert worst > max(clean, drawn) + 1e-4
