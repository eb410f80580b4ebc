"""One update: what moves, what is refused, and that a device that runs ahead is told the same."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts.config.settings import AlphaOptimizer, WeightOptimizer
from adarts.engine import update as room
from adarts.engine.optimizers import adam, load_optimizer, sgd
from adarts.engine.update import Learned, Update, backward
from adarts.errors import NotFiniteError
from recording import run_ahead

SETTINGS = WeightOptimizer(clip=1.0)


class Line:
    """A small classifier with its update."""

    def __init__(self, with_adam: bool = False) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(6, 3)
        self.frozen = nn.Parameter(torch.ones(3))
        weights = list(self.model.parameters())
        optimizer = adam(weights, AlphaOptimizer()) if with_adam else sgd(weights, SETTINGS)
        self.optimizer = optimizer
        learned = Learned(optimizer, "the weights", SETTINGS.clip)
        self.update = Update(learned, gradient=backward(self.loss, learned.parameters), frozen=[self.frozen])

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(x) * self.frozen
        return F.cross_entropy(logits, y), logits

    def steps(self, numbers: range, poisoned: int = -1) -> None:
        for number in numbers:
            x = torch.randn(8, 6, generator=torch.Generator().manual_seed(number))
            x = x * float("nan" if number == poisoned else 1)
            self.update(x, torch.arange(8) % 3, rate=0.5 / (1 + number), accumulation=2)

    def load(self, state: dict[str, object]) -> None:
        load_optimizer(self.optimizer, copy.deepcopy(state))
        self.update.forget()

    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])


def test_a_learning_rate_on_the_device_gives_what_a_number_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Line()
    plain.steps(range(6))
    run_ahead(monkeypatch)
    ahead = Line()
    rate = ahead.optimizer.param_groups[0]["lr"]
    ahead.steps(range(6))
    assert isinstance(rate, Tensor) and rate is ahead.optimizer.param_groups[0]["lr"]
    torch.testing.assert_close(ahead.weights(), plain.weights(), rtol=1e-6, atol=1e-7)  # fused: rounded elsewhere
    assert plain.frozen.grad is None and ahead.frozen.grad is None


@pytest.mark.parametrize("with_adam", [False, True])
def test_a_device_leaves_out_what_is_not_finite_and_all_after_it(
    with_adam: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ahead(monkeypatch)
    line, clean = Line(with_adam), Line(with_adam)
    line.steps(range(3))
    clean.steps(range(3))
    line.steps(range(3, 6), poisoned=3)
    assert torch.equal(line.weights(), clean.weights())
    with pytest.raises(NotFiniteError, match=r"loss of the weights is nan on a batch of 8 images in one of the last 6"):
        line.update.check()
    line.load(clean.optimizer.state_dict())  # what a rollback does
    line.steps(range(6, 8))
    line.update.check()
    clean.steps(range(6, 8))
    assert torch.equal(line.weights(), clean.weights())


def test_a_gradient_is_looked_at_like_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch)
    line = Line()
    line.model.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = line.weights()
    line.steps(range(1))
    with pytest.raises(NotFiniteError, match="gradient of the weights has the norm"):
        line.update.check()
    assert torch.equal(line.weights(), before)


def test_a_device_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch)
    monkeypatch.setattr(room, "CHECK_EVERY", 4)
    line = Line()
    line.steps(range(3), poisoned=1)
    with pytest.raises(NotFiniteError):
        line.steps(range(3, 4))


@pytest.mark.parametrize("with_adam", [False, True])
def test_a_state_goes_from_one_kind_of_device_to_the_other(with_adam: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(with_adam)
    line.steps(range(3))
    state, weights = copy.deepcopy(line.optimizer.state_dict()), copy.deepcopy(line.model.state_dict())
    run_ahead(monkeypatch)
    other = Line(with_adam)
    other.model.load_state_dict(weights)
    other.load(state)
    group = other.optimizer.param_groups[0]
    assert group["fused"] and isinstance(group["lr"], float if with_adam else Tensor)
    for one in (line, other):
        one.steps(range(3, 5))
    torch.testing.assert_close(other.weights(), line.weights(), rtol=1e-5, atol=1e-6)
