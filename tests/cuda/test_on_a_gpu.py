"""The GPU path against the textbook, against itself without CUDA graphs, and against an interruption."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from textbook import TextbookSupernet
from torch import Tensor

from adarts.config.settings import EdgeDesign, SupernetSettings
from adarts.data import Augmentation, Batches, Images
from adarts.engine.capture import WARM_UP
from adarts.engine.update import fix_arithmetic
from adarts.errors import NotFiniteError
from adarts.models import OPERATIONS, build_operation
from adarts.searching import SearchTask
from adarts.spaces import DARTS
from adarts.supernet import Selection, Supernet
from adarts.training.task import TrainTask
from tiny import tiny_search, tiny_training

DESIGNS = {
    "darts": {"selector": "all", "k": 1, "attention": False},
    "pc-darts": {"selector": "first", "k": 4, "attention": False, "normalization": True},
    "adarts": {"k": 4},
    "adarts-sample": {"k": 2, "mask_scope": "sample"},
    "adarts-persistent": {"k": 4, "slots": "persistent"},
}
FROZEN = {"slots": "persistent", "freeze": True}
STEPS = WARM_UP + 2


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Whatever makes the program wait for the GPU is an error inside."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def carry_out(task: SearchTask | TrainTask, epoch: int, steps: range) -> list[dict[str, float]]:
    sums = [task.step(epoch, step % task.steps(epoch)) for step in steps]
    return [{name: float(value) for name, value in step.items()} for step in sums]


def tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for part in value for tensor in tensors(part)] if isinstance(value, list | tuple) else []


def assert_same(one: SearchTask | TrainTask, two: SearchTask | TrainTask) -> None:
    pairs = list(zip(tensors(one.state_dict()), tensors(two.state_dict()), strict=True))
    assert len(pairs) > 50 and all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"noise"}))
def test_every_operation_has_the_gradients_of_the_cpu_in_channels_last(
    operation: str, stride: int, device: torch.device
) -> None:
    torch.manual_seed(0)
    there = build_operation(operation, 8, stride).double()
    here = copy.deepcopy(there).to(device)
    x = torch.randn(3, 8, 7, 7, dtype=torch.float64)
    found = []
    for module, images in ((there, x), (here, x.to(device).contiguous(memory_format=torch.channels_last))):
        images.requires_grad_()
        out = module(images)
        loss = out.square().sum() + images.sum()  # `none` gives no gradient
        found.append([out, *torch.autograd.grad(loss, [images, *module.parameters()], allow_unused=True)])
    for ours, cpu in zip(found[1], found[0], strict=True):
        if cpu is not None:
            assert ours is not None
            torch.testing.assert_close(ours.cpu(), cpu, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("design", DESIGNS)
def test_output_and_all_gradients_are_those_of_the_textbook(design: str, device: torch.device) -> None:
    torch.manual_seed(0)
    textbook = TextbookSupernet(8, 3, 5, **DESIGNS[design]).to(device).double()  # type: ignore[arg-type]
    settings = SupernetSettings(channels=8, cells=3)
    supernet = Supernet(DARTS, settings, EdgeDesign.model_validate(DESIGNS[design]), 5).to(device).double()
    supernet.load_state_dict(textbook.state_dict())
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64, device=device)
    expected = textbook(x)
    expected.square().sum().backward()
    edges = len(DARTS.edges)
    chosen = [
        torch.stack([torch.atleast_2d(textbook.selection[cell, e]) for e in range(edges)], 1) for cell in range(3)
    ]
    actual = supernet(x, selection=Selection(chosen))
    actual.square().sum().backward()
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    gradients = supernet.canonical_gradients()
    largest = max(float(p.grad.abs().max()) for p in textbook.parameters() if p.grad is not None)
    for name, parameter in textbook.named_parameters():
        assert parameter.grad is not None
        error = float((gradients[name] - parameter.grad).abs().max())
        assert error <= 1e-9 * float(parameter.grad.abs().max()) + 1e-12 * largest, name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["adarts-en", "pc-darts", "darts"])
def test_a_captured_search_is_the_uncaptured_one(method: str, precision: str, device: torch.device) -> None:
    captured, plain = (
        tiny_search(method, device, run={"capture": capture, "precision": precision}) for capture in (True, False)
    )
    for epoch in (0, 1):
        assert carry_out(captured, epoch, range(STEPS)) == carry_out(plain, epoch, range(STEPS))
    assert captured.updates["weights"].recorded and captured.updates["alphas"].recorded
    assert not plain.updates["weights"].recorded
    assert_same(captured, plain)


def test_a_search_whose_channels_stay_is_captured_again_after_the_warm_up(device: torch.device) -> None:
    captured, plain = (
        tiny_search("adarts", device, edge=FROZEN, run={"capture": capture}) for capture in (True, False)
    )
    for epoch in (0, 1):
        assert carry_out(captured, epoch, range(STEPS)) == carry_out(plain, epoch, range(STEPS))
        assert captured.updates["weights"].recorded
    assert_same(captured, plain)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_captured_training_is_the_uncaptured_one(precision: str, device: torch.device) -> None:
    captured, plain = (tiny_training(device, capture=capture, precision=precision) for capture in (True, False))
    for epoch in (0, 2):  # without drop path and with it
        assert carry_out(captured, epoch, range(STEPS)) == carry_out(plain, epoch, range(STEPS))
        assert captured.update.recorded and not plain.update.recorded
    assert_same(captured, plain)


def test_a_resumed_search_is_the_uninterrupted_one(device: torch.device) -> None:
    task, resumed = tiny_search(device=device), tiny_search(device=device)
    carry_out(task, 1, range(STEPS))
    carry_out(resumed, 0, range(1))
    state = copy.deepcopy(task.state_dict())
    resumed.load_state_dict(state)
    assert carry_out(resumed, 1, range(STEPS, 2 * STEPS)) == carry_out(task, 1, range(STEPS, 2 * STEPS))
    assert_same(resumed, task)


def test_a_resumed_training_is_the_uninterrupted_one(device: torch.device) -> None:
    task, resumed = tiny_training(device), tiny_training(device)
    carry_out(task, 2, range(STEPS))
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    assert carry_out(resumed, 2, range(STEPS, 2 * STEPS)) == carry_out(task, 2, range(STEPS, 2 * STEPS))
    assert_same(resumed, task)


def test_no_step_waits_for_the_gpu(device: torch.device) -> None:
    for task in (tiny_search(device=device), tiny_search(device=device, edge=FROZEN), tiny_training(device)):
        carry_out(task, 1, range(STEPS))
        with nothing_waits():
            for step in range(3):
                task.step(1, step % task.steps(1))


def test_a_method_that_draws_on_the_cpu_runs_uncaptured(device: torch.device) -> None:
    task = tiny_search("darts-random-moving", device)
    carry_out(task, 1, range(STEPS))
    assert not task.updates["weights"].recorded


def test_a_replayed_step_leaves_out_what_is_not_finite(device: torch.device) -> None:
    task = tiny_search(device=device)
    carry_out(task, 1, range(STEPS))
    bias = task.supernet.classifier.bias
    with torch.no_grad():
        bias.fill_(float("nan"))
    moved = [p for p in [*task.supernet.weight_parameters(), *task.supernet.alpha_parameters()] if p is not bias]
    before = [p.detach().clone() for p in moved]
    task.step(1, 0)
    assert all(torch.equal(*pair) for pair in zip(before, moved, strict=True))
    with pytest.raises(NotFiniteError):
        task.state_dict()


def test_bfloat16_stays_close_to_float32(device: torch.device) -> None:
    """Losses within 2 %, the gradient of all weights within 20 % of its norm, on batches of 8."""
    sums, gradients = [], []
    for precision in ("float32", "bfloat16"):
        task = tiny_search(device=device, run={"precision": precision})
        sums += carry_out(task, 1, range(1))
        gradients.append(torch.cat([p.grad.flatten() for p in task.supernet.weight_parameters() if p.grad is not None]))
    for name in ("loss", "alphas_loss"):
        assert sums[1][name] == pytest.approx(sums[0][name], rel=0.02) and sums[1][name] != sums[0][name]
    assert (gradients[1] - gradients[0]).norm() < 0.2 * gradients[0].norm()


def test_batches_are_those_of_the_cpu_and_do_not_wait(device: torch.device) -> None:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=random)
    images = Images(pixels, torch.arange(64) % 10)
    augmentation = Augmentation((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), crop_padding=4, flip=True, cutout=16)
    there, here = (
        Batches(
            images,
            torch.arange(64),
            batch_size=16,
            seed=0,
            purpose="test",
            augmentation=augmentation,
            device=where,
            drop_last=True,
        )
        for where in (device, torch.device("cpu"))
    )
    there.batch(0, 0)
    with nothing_waits():
        batches = [there.batch(0, step) for step in range(4)]
    for step, (x, y) in enumerate(batches):
        expected_x, expected_y = here.batch(0, step)
        assert torch.equal(x.cpu(), expected_x) and torch.equal(y.cpu(), expected_y)
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_float32_is_not_rounded_to_tf32(device: torch.device) -> None:
    fix_arithmetic(device)
    a, b = torch.randn(2, 256, 256, device=device, generator=torch.Generator(device).manual_seed(0)).unbind()
    exact = a.double() @ b.double()
    assert float(((a @ b).double() - exact).norm() / exact.norm()) < 1e-5
    x, weight = a.view(4, 64, 16, 16), b.view(1024, 64)[:64, :, None, None]
    expected = torch.nn.functional.conv2d(x.double(), weight.double())
    actual = torch.nn.functional.conv2d(x, weight).double()
    assert float((actual - expected).norm() / expected.norm()) < 1e-5
