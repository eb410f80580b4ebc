"""Triton's kernels, run by its interpreter on the CPU, compute what torch's operators compute: results and all gradients."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, library

from adarts import kernels
from adarts.kernels import Contribution, Normalization, Separable, build, operators

triton = pytest.importorskip("triton")
if not triton.knobs.runtime.interpret:
    pytest.skip("Triton runs on the GPU here; tests/cuda compares its kernels", allow_module_level=True)
if build.status().functions is None:
    pytest.skip("without native kernels, no operator is called on a CPU", allow_module_level=True)
gpu = pytest.importorskip("adarts.kernels.gpu")
fan, norm = (importlib.import_module(f"adarts.kernels.{name}") for name in ("fan", "norm"))

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.fixture(autouse=True)
def interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On the CPU, the operators call Triton's kernels; the native ones are back after the test."""
    torch.manual_seed(0)
    overriding = library.Library("adarts", "IMPL")
    for name in gpu.__all__:
        overriding.impl(name, _calling(name), "CPU", allow_override=True)
    for user in (fan, norm):  # what a CPU leaves to torch's operators
        monkeypatch.setattr(user, "triton", operators.native)
    yield
    overriding._destroy()


def _calling(name: str) -> Callable[..., Any]:
    function, results = getattr(gpu, name), operators.RESULTS[name]

    def call(*arguments: Any) -> Any:
        made = results(*arguments)
        for tensor in made if isinstance(made, list | tuple) else (made,):
            tensor.fill_(99)  # what a kernel leaves out shows
        function(*arguments, made)
        return made

    return call


def leaf(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(shape, dtype=dtype)
    return (x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x).requires_grad_()


def agree(compute: Callable[[], Sequence[Tensor]], inputs: Sequence[Tensor]) -> None:
    """Compare results and gradients; the error is a share of the largest value, and NaN is where the other is."""
    found = {}
    for choice in ("torch", "auto"):
        with kernels.using(choice):  # type: ignore[arg-type]
            outputs = compute()
        generator = torch.Generator().manual_seed(1)
        directions = [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype) for y in outputs]
        found[choice] = [*outputs, *torch.autograd.grad(outputs, inputs, directions)]
    for actual, expected in zip(found["auto"], found["torch"], strict=True):
        assert actual.shape == expected.shape and torch.equal(actual.isnan(), expected.isnan())
        error = (actual - expected).nan_to_num().abs().max() / expected.nan_to_num().abs().max().clamp_min(1e-3)
        assert error < TOLERANCE[actual.dtype]


def running(n: int, training: bool, dtype: torch.dtype) -> Normalization:
    return Normalization(torch.rand(n, dtype=dtype), 1 + torch.rand(n, dtype=dtype), training)


def test_every_function_takes_the_arguments_of_its_operator_and_then_the_results() -> None:
    for name in gpu.__all__:
        schema = getattr(torch.ops.adarts, name).default._schema
        assert len(inspect.signature(getattr(gpu, name)).parameters) == len(schema.arguments) + 1, name


@pytest.mark.parametrize(
    ("edges", "channels", "size", "stride", "normalized"),
    [
        (3, 4, (2, 5, 7), 1, "training"),
        (3, 4, (1, 5, 6), 2, None),
        (1, 16, (1, 2, 5), 2, "evaluation"),
        (9, 2, (1, 3, 2), 1, None),  # more channels than a tile has
        (1, 3, (1, 4, 4), 1, "training"),  # a group that a tile does not hold whole
    ],
)
def test_separable(edges: int, channels: int, size: tuple[int, int, int], stride: int, normalized: str | None) -> None:
    n = edges * channels
    x = leaf(size[0], n, *size[1:])
    depthwise = [leaf(n, 1, 3, 3) for _ in range(2)]
    pointwise = [leaf(edges, channels, channels) for _ in range(2)]
    convolutions = [Separable(w, p, dilation) for w, p, dilation in zip(depthwise, pointwise, (1, 2), strict=True)]
    norm = running(n, False, x.dtype) if normalized == "evaluation" else None
    norm = Normalization(None, None, True) if normalized == "training" else norm
    agree(lambda: kernels.separable(x, convolutions, stride, norm), [x, *depthwise, *pointwise])


@pytest.mark.parametrize(("channels", "training"), [(4, True), (3, False)])
def test_separable_each(channels: int, training: bool) -> None:
    n = 2 * channels
    maps = [leaf(2, n, 4, 3) for _ in range(2)]
    depthwise, pointwise = [leaf(n, 1, k, k) for k in (3, 5)], [leaf(2, channels, channels) for _ in maps]
    norms = [Normalization(None, None, True) if training else running(n, False, maps[0].dtype) for _ in maps]

    def compute() -> list[Tensor]:
        convolutions = [Separable(w, p, 1) for w, p in zip(depthwise, pointwise, strict=True)]
        return kernels.separable_each(list(zip(maps, convolutions, norms, strict=True)))

    agree(compute, [*maps, *depthwise, *pointwise])


def test_separable_with_frozen_weights() -> None:
    x, convolution = leaf(1, 4, 4, 3), Separable(leaf(4, 1, 3, 3).detach(), leaf(2, 2, 2).detach(), 1)
    agree(lambda: kernels.separable(x, [convolution], 1), [x])


def test_depthwise_alone() -> None:
    x, weight = leaf(1, 6, 6, 5), leaf(6, 1, 5, 5)
    agree(lambda: kernels.separable(x, [Separable(weight, None, 2)], 2), [x, weight])


@pytest.mark.parametrize(("n", "training"), [(1, True), (5, False), (70, True)])
def test_normalized_sum(n: int, training: bool) -> None:
    batch, height, width = 2, 5, 7
    maps = [leaf(batch, n, height, width) for _ in range(3)]
    gains, bias = [leaf(n) for _ in maps], leaf(n)
    first = [running(n, training, bias.dtype) for _ in range(2)]
    copies = [Normalization(*(t.clone() for t in (s.mean_n, s.var_n) if t is not None), training) for s in first]

    def compute() -> list[Tensor]:
        norms = [None, *(first if build.functions() is None else copies)]  # the first map is only scaled
        return [kernels.normalized_sum(list(zip(maps, gains, norms, strict=True)), bias)]

    agree(compute, [*maps, *gains, bias])
    for a, b in zip(first, copies, strict=True):
        torch.testing.assert_close(a.mean_n, b.mean_n)
        torch.testing.assert_close(a.var_n, b.var_n)


def test_variance_of_numbers_far_from_zero_in_many_tiles() -> None:
    z = 1e3 + torch.randn(1, 3, 40, 40)
    norm = Normalization(torch.zeros(3), torch.zeros(3), True, momentum=1.0)
    kernels.normalized_sum([(z, None, norm)])
    assert norm.var_n is not None
    torch.testing.assert_close(norm.var_n.double(), z.double().var((0, 2, 3)), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("n", "size", "stride"), [(1, (1, 1, 1), 2), (5, (2, 9, 7), 2), (70, (1, 4, 5), 1)])
def test_pools(n: int, size: tuple[int, int, int], stride: int) -> None:
    x = leaf(size[0], n, *size[1:])
    agree(lambda: kernels.pools(x, stride), [x])
    agree(lambda: kernels.global_pools(x), [x])


def test_a_tie_goes_to_the_same_pixel_as_in_torch() -> None:
    x = torch.zeros(1, 2, 4, 4, requires_grad=True)
    agree(lambda: kernels.pools(x, 1)[:1], [x])


@pytest.mark.parametrize(("per_image", "scaled"), [(False, False), (True, True)])
def test_select(per_image: bool, scaled: bool) -> None:
    batch, edges, channels, selected = 3, 2, 6, 4  # so that two edges choose the same channel
    x, scale = leaf(batch, channels, 3, 5), leaf(batch, edges * selected)
    index = torch.rand(batch if per_image else 1, edges, channels).topk(selected).indices
    agree(lambda: [kernels.select(x, index, scale if scaled else None)], [x, scale] if scaled else [x])


@pytest.mark.parametrize(("batch", "edges", "channels", "hidden"), [(3, 2, 6, 3), (18, 1, 16, 4)])
def test_attention(batch: int, edges: int, channels: int, hidden: int) -> None:
    pooled = [leaf(batch, channels) for _ in range(2)]
    weights = [leaf(edges, hidden, channels), leaf(edges, channels, hidden)]
    agree(lambda: [kernels.attention(*pooled, *weights)], [*pooled, *weights])
    agree(lambda: [kernels.attention(*pooled, *(w.detach() for w in weights))], pooled)


@pytest.mark.parametrize("per_image", [False, True])
def test_factors_of_the_strongest_channels(per_image: bool) -> None:
    attention = leaf(2, 18, 6)  # edges, images, channels
    found = {}
    for choice in ("torch", "auto"):
        with kernels.using(choice):  # type: ignore[arg-type]
            found[choice] = kernels.strongest(attention.detach(), 3, per_image)
    assert torch.equal(*found.values())
    gain = leaf(2)
    for given in (None, gain):

        def compute(given: Tensor | None = given) -> list[Tensor]:
            scale, gates = kernels.factors(attention, found["torch"], given)
            return [scale, *gates]

        agree(compute, [attention] if given is None else [attention, gain])


def test_equal_and_missing_scores_choose_channels_all_the_same() -> None:
    scores = torch.tensor([[[1.0, 2.0, 2.0, 2.0]], [[float("nan"), 1.0, 0.0, 3.0]]])
    assert kernels.strongest(scores, 2, False).tolist() == [[[1, 2], [0, 3]]]


def test_gradients_of_several_readers_are_added() -> None:
    x = leaf(1, 5, 4, 3)

    def compute() -> list[Tensor]:
        one, two, three = kernels.fan(x, 3)
        return [torch.cat([one, two], 1).square(), 3 * three]  # the first two gradients are slices

    agree(compute, [x])


@pytest.mark.parametrize(("size", "per_image"), [((2, 3, 4), False), ((1, 1, 1), False), ((2, 5, 1), True)])
def test_write_back(size: tuple[int, int, int], per_image: bool) -> None:
    batch, height, width = size
    channels, selected, edges = 6, 3, 3
    bypass = [leaf(batch, channels, height, width) for _ in range(edges)]
    gates = [leaf(n, channels) for n in (batch, 1, batch)]
    mixed, other = leaf(batch, 2 * selected, height, width), leaf(batch, selected, height, width)
    index = [torch.rand(batch if per_image else 1, channels).topk(selected).indices for _ in range(edges)]

    def compute() -> list[Tensor]:
        slices = [*mixed.split(selected, 1), other]
        return [kernels.write_back([Contribution(*c) for c in zip(bypass, gates, slices, index, strict=True)])]

    agree(compute, [*bypass, *gates, mixed, other])


def test_many_tiles_of_pixels_in_float32() -> None:
    x, weight, matrix = (leaf(*shape, dtype=torch.float32) for shape in ((1, 4, 24, 24), (4, 1, 3, 3), (2, 2, 2)))
    index, gain = torch.tensor([[[2, 0]]]), leaf(4, dtype=torch.float32)
    agree(lambda: kernels.separable(x, [Separable(weight, matrix, 1)], 1), [x, weight, matrix])
    agree(lambda: [kernels.normalized_sum([(x, gain, Normalization(None, None, True))])], [x, gain])
    agree(lambda: [*kernels.pools(x, 2), *kernels.global_pools(x)], [x])
    agree(lambda: [kernels.select(x, index, None)], [x])
    agree(lambda: [kernels.write_back([Contribution(x, gain[None], x[:, :2] * 2, index[0])])], [x, gain])


def test_nan_goes_through() -> None:
    x, weight = leaf(2, 4, 6, 5), leaf(4, 1, 3, 3)
    with torch.no_grad():
        x[0, 1, 3, 2] = float("nan")
    agree(lambda: kernels.separable(x, [Separable(weight, None, 1)], 1), [x, weight])
    agree(lambda: [kernels.normalized_sum([(x, None, Normalization(None, None, True))])], [x])
    agree(lambda: kernels.pools(x, 2), [x])
    mean, largest = kernels.global_pools(x)
    assert torch.equal(largest.isnan(), mean.isnan()) and largest.isnan().sum() == largest[0, 1].isnan() == 1
