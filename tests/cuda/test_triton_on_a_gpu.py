"""Triton's kernels on a GPU against torch's operators, at the sizes of a search, and whether they are used in a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from adarts import kernels
from adarts.kernels import Contribution, Normalization, Separable
from tiny import tiny_search

TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}
Case = tuple[Callable[[], Sequence[Tensor]], list[Tensor]]


@pytest.fixture(autouse=True)
def there(device: torch.device) -> None:
    if kernels.triton_problem() is not None:
        pytest.skip(f"no Triton: {kernels.triton_problem()}")


def leaf(*shape: int, dtype: torch.dtype) -> Tensor:
    x = torch.randn(shape, dtype=dtype, device="cuda")
    return (x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x).requires_grad_()


def separable(dtype: torch.dtype, stride: int, normalized: bool) -> Case:
    x = leaf(32, 16, 32, 31, dtype=dtype)
    shapes = [(3, 1), (5, 1), (3, 2), (5, 2)]
    depthwise = [leaf(16, 1, k, k, dtype=dtype) for k, _ in shapes]
    pointwise = [leaf(4, 4, 4, dtype=dtype) for _ in shapes]
    convolutions = [Separable(w, p, d) for w, p, (_, d) in zip(depthwise, pointwise, shapes, strict=True)]
    norm = Normalization(None, None, True) if normalized else None
    return lambda: kernels.separable(x, convolutions, stride, norm), [x, *depthwise, *pointwise]


def normalized_sum(dtype: torch.dtype) -> Case:
    maps, gains = [leaf(32, 48, 17, 16, dtype=dtype) for _ in range(7)], [leaf(48, dtype=dtype) for _ in range(7)]
    norms = [*[Normalization(None, None, True)] * 6, None]
    return lambda: [kernels.normalized_sum(list(zip(maps, gains, norms, strict=True)))], [*maps, *gains]


def pools(dtype: torch.dtype, stride: int) -> Case:
    x = leaf(32, 16, 32, 31, dtype=dtype)
    return lambda: [*kernels.pools(x, stride), *kernels.global_pools(x)], [x]


def partial_connection(dtype: torch.dtype) -> Case:
    x, scale, gate = leaf(32, 64, 9, 8, dtype=dtype), leaf(32, 64, dtype=dtype), leaf(32, 64, dtype=dtype)
    index = torch.rand(1, 4, 64, device="cuda").topk(16).indices

    def compute() -> list[Tensor]:
        mixed = kernels.select(x, index, scale).split(16, 1)
        return [kernels.write_back([Contribution(x, gate, mixed[e], index[:, e]) for e in range(4)])]

    return compute, [x, scale, gate]


CASES: dict[str, Callable[[torch.dtype], Case]] = {
    "separable": lambda dtype: separable(dtype, 1, False),
    "separable, normalized": lambda dtype: separable(dtype, 1, True),
    "separable, stride 2": lambda dtype: separable(dtype, 2, False),
    "normalized sum": normalized_sum,
    "pools": lambda dtype: pools(dtype, 1),
    "pools, stride 2": lambda dtype: pools(dtype, 2),
    "partial connection": partial_connection,
}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_are_those_of_torchs_operators(case: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    compute, inputs = CASES[case](dtype)
    found = {}
    for choice in ("torch", "auto", "auto"):
        with kernels.using(choice):  # type: ignore[arg-type]
            outputs = compute()
        generator = torch.Generator("cuda").manual_seed(1)
        directions = [torch.randn(y.shape, generator=generator, dtype=dtype, device="cuda") for y in outputs]
        now = [*outputs, *torch.autograd.grad(outputs, inputs, directions)]
        if choice in found:
            assert all(torch.equal(a, b) for a, b in zip(now, found[choice], strict=True))  # every run is the same
        found[choice] = now
    for actual, expected in zip(found["auto"], found["torch"], strict=True):
        assert (actual - expected).norm() < TOLERANCE[dtype] * expected.norm()


def test_a_search_step_launches_tritons_kernels_and_without_them_torchs(device: torch.device) -> None:
    names = {}
    for choice in ("auto", "torch"):
        task = tiny_search(device=device, run={"capture": False, "kernels": choice})
        with kernels.using(choice), torch.profiler.profile() as profiled:  # type: ignore[arg-type]
            task.step(1, 0)
            torch.cuda.synchronize()
        names[choice] = [event.key for event in profiled.key_averages()]
    assert any("_separable_backward" in name for name in names["auto"])
    assert not any("_separable_backward" in name for name in names["torch"])
