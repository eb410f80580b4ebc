"""One step of the training of a fixed network, also as a GPU is driven."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.data import Images
from adarts.engine.capture import WARM_UP
from adarts.errors import NotFiniteError
from adarts.training.task import TrainTask
from recording import Again, run_ahead
from tiny import tiny_training


def carry_out(task: TrainTask, steps: range) -> list[dict[str, float]]:
    return [
        {name: float(value) for name, value in task.step(*divmod(number, task.steps(0))).items()} for number in steps
    ]


def tensors(task: TrainTask) -> list[Tensor]:
    state = task.state_dict()
    momenta = [entry["momentum_buffer"] for entry in state["optimizer"]["state"].values()]
    return [*state["network"].values(), *momenta]


def test_recorded_steps_are_the_plain_ones_with_drop_path_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch)
    plain = tiny_training()
    again = Again()
    run_ahead(monkeypatch, again)
    recorded, steps = tiny_training(), range(2 * plain.steps(0))  # no path is left out in the first epoch
    assert plain.steps(0) > WARM_UP
    assert carry_out(recorded, steps) == carry_out(plain, steps)
    assert again.recordings == 2
    assert all(torch.equal(*pair) for pair in zip(tensors(recorded), tensors(plain), strict=True))


def test_a_resume_leaves_out_the_same_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ahead(monkeypatch, Again())
    task, resumed = tiny_training(), tiny_training()
    middle, end = task.steps(0) + 2, 2 * task.steps(0)
    carry_out(task, range(middle))
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    assert carry_out(resumed, range(middle, end)) == carry_out(task, range(middle, end))
    assert all(torch.equal(*pair) for pair in zip(tensors(resumed), tensors(task), strict=True))


MODERN = {"optimizer": "adamw", "mixup": 0.2, "cutmix": 1.0, "label_smoothing": 0.1, "class_weights": "balanced"}


def test_a_resume_mixes_the_same_images_and_keeps_the_moments_of_adamw() -> None:
    task, resumed = (tiny_training(training=MODERN) for _ in range(2))
    middle, end = 3, task.steps(0) + 2
    carry_out(task, range(middle))
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    assert carry_out(resumed, range(middle, end)) == carry_out(task, range(middle, end))
    states = [list(one.state_dict()["optimizer"]["state"].values()) for one in (task, resumed)]
    for one, other in zip(*states, strict=True):
        assert {"exp_avg", "exp_avg_sq", "step"} == one.keys() and all(
            torch.equal(one[name], other[name]) for name in one
        )
    assert all(torch.equal(*pair) for pair in zip(task.network.parameters(), resumed.network.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_labels_are_mixed_as_the_images_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is the mean over both labels, weighted by their shares."""
    task = tiny_training(training={kind: 1.0})
    x, y = task.batch(0, 0)
    given: list[Tensor] = []
    update = task.update

    def recorded(*batch: Tensor, **how: Any) -> Any:
        given.extend(batch)
        return update(*batch, **how)

    monkeypatch.setattr(task, "update", recorded)
    task.step(0, 0)
    mixed, labels, shares, *_ = given
    lam = float(shares.gather(1, y[:, None])[y != y.roll(1)][0])
    assert 0 < lam < 1 and torch.equal(labels, shares.argmax(1))
    if kind == "mixup":
        assert torch.allclose(mixed, lam * x + (1 - lam) * x.roll(1, 0), atol=1e-5)
    else:
        assert ((mixed == x) | (mixed == x.roll(1, 0))).all()
        inside = (mixed != x).any(1).any(0)  # the part is the same in all images, as far as pixels differ
        assert 0 < float(inside.float().mean()) <= 1 - lam + 1e-6
    logits = torch.randn(len(y), 10, generator=torch.Generator().manual_seed(0))
    both = [F.cross_entropy(logits, target, reduction="none") for target in (y, y.roll(1))]
    assert float(task._cross_entropy(logits, shares)) == pytest.approx(
        float((lam * both[0] + (1 - lam) * both[1]).mean()), rel=1e-5
    )


def test_parts_draw_their_paths_one_after_the_other() -> None:
    task = tiny_training()
    assert task.halve_batch()
    x = torch.zeros(8, 3, 16, 16)
    (scales,) = task._path_scales(x, 1, 0)
    assert scales.shape == (8, task.network.num_paths, 1, 1, 1)
    keep = 1 - 0.5 / 4
    assert all(value in (0.0, pytest.approx(1 / keep)) for value in scales.unique().tolist())
    assert len(carry_out(task, range(task.steps(0), task.steps(0) + 1))) == 1


def test_a_loss_that_is_not_finite_stops_before_the_update_and_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for ahead in (False, True):
        if ahead:
            run_ahead(monkeypatch)
        task = tiny_training()
        with torch.no_grad():
            task.network.classifier.bias.fill_(float("nan"))
        before = next(task.network.parameters()).detach().clone()
        with pytest.raises(NotFiniteError, match="loss of the weights is nan"):
            task.step(0, 0)
            task.state_dict()
        assert torch.equal(next(task.network.parameters()), before)


def test_bfloat16_stays_close_to_float32() -> None:
    """The loss within 2 %: eight bits of mantissa."""
    exact, rounded = tiny_training(), tiny_training(precision="bfloat16")
    step = range(exact.steps(0), exact.steps(0) + 1)
    (a,), (b,) = carry_out(exact, step), carry_out(rounded, step)
    assert b["loss"] == pytest.approx(a["loss"], rel=0.02) and b["loss"] != a["loss"]
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in rounded.network.parameters())


def test_the_average_of_the_weights_is_the_result_also_after_a_resume() -> None:
    task, resumed = (tiny_training(training={"average": 0.75}) for _ in range(2))
    assert task.averaged is not None
    carry_out(task, range(1))
    expected = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    for number in range(1, 4):
        carry_out(task, range(number, number + 1))
        for name, tensor in task.network.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = 0.75 * expected[name] + 0.25 * tensor
        if number == 2:
            resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    carry_out(resumed, range(3, 4))
    found, again = task.result.state_dict(), resumed.result.state_dict()
    for name, tensor in expected.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(found[name], tensor)
        assert torch.equal(found[name], again[name])
    assert not torch.equal(found["classifier.weight"], task.network.state_dict()["classifier.weight"])
    images = torch.arange(10)
    assert task.measure(task.data.test, images) == resumed.measure(task.data.test, images)
    task.network.load_state_dict(found)
    plain = tiny_training()
    plain.network.load_state_dict(found)
    assert plain.measure(task.data.test, images) == task.measure(task.data.test, images)


def test_balanced_classes_weigh_the_same_in_the_loss() -> None:
    task = tiny_training(training={"class_weights": "balanced"})
    labels = task.data.train.labels
    assert task.class_weights is not None and torch.equal(task.class_weights, torch.ones(10))  # 4 images of each class
    kept = torch.cat([torch.nonzero(labels == label)[: 1 + 3 * (label % 2)] for label in range(10)]).flatten()
    data = dataclasses.replace(task.data, train=Images(task.data.train.pixels[kept], labels[kept]))
    unequal = TrainTask(task.config, data, task.network, torch.device("cpu"))
    weights = unequal.class_weights
    assert weights is not None
    shares = weights * torch.bincount(data.train.labels)
    torch.testing.assert_close(shares, shares.mean().expand(10))
    x, y = data.train.pixels.float() / 255, data.train.labels
    with torch.no_grad():
        loss, logits = unequal._loss(x, y)
        head = unequal.network(x)[1]
        own = [(weights[y] * F.cross_entropy(part, y, reduction="none")).mean() for part in (logits, head)]
    torch.testing.assert_close(loss, own[0] + 0.4 * own[1])
    # Batches add up, whichever classes each of them has: without this, the rare classes, here the even ones, would weigh less.
    parts = [(y % 2 == kind).nonzero().flatten() for kind in (0, 1)]
    sums = [unequal._cross_entropy(logits[part], y[part]) * len(part) for part in parts]
    torch.testing.assert_close(sum(sums) / len(y), unequal._cross_entropy(logits, y))


@pytest.mark.parametrize("steps", [2, 7])
def test_an_epoch_of_steps_continues_in_the_images_where_the_one_before_ended(steps: int) -> None:
    whole, task = tiny_training(), tiny_training()
    task.config = task.config.model_copy(update={"training": task.config.training.model_copy(update={"steps": steps})})
    assert (whole.steps(0), task.steps(0)) == (5, steps)
    for number in range(12):  # more than two passes through the images
        expected, got = (one.batch(*divmod(number, one.steps(0))) for one in (whole, task))
        assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True)), number
