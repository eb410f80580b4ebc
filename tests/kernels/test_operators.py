"""What autograd, tracing and torch's own tests of operators ask of the native kernels."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, library, nn

from adarts import kernels
from adarts.kernels import Contribution, Normalization, Separable, build

if build.status().functions is None:
    pytest.skip(f"no native kernels: {build.status().detail}", allow_module_level=True)


def double(*shape: int) -> Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))
    return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x


X, G = double(2, 4, 5, 5), double(2, 4, 5, 5)
HALF = double(2, 4, 3, 3)
W, P, MATRIX = double(4, 1, 3, 3), double(2, 2, 2), double(3, 4)
MEAN, STD = double(1, 4), double(1, 4).abs() + 1
INDEX = torch.tensor([[0, 2]])
TAP = torch.full((2, 4, 3, 3), 4, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
PIXEL = torch.zeros(2, 4, dtype=torch.int32)
MLPS = double(3, 2, 4), double(3, 4, 2)
CHOSEN = torch.tensor([[[0, 2], [1, 3], [2, 3]]])
#: two edges with a pool and a separable convolution, whose weights and statistics are these
NODE = (
    X,
    CHOSEN[:, :2],
    double(2, 2, 4).sigmoid(),
    *double(2, 2, 4),
    PIXEL,
    double(2, 2, 4),
    double(2, 4, 2),
    double(2),
)
CONVOLUTIONS = [double(2, 2, 1, 3, 3), double(2, 2, 2, 1, 1), double(2, 2, 1, 3, 3) + 1, double(2, 2, 2, 1, 1) + 1]
PLAN = [1, True, False], [0, 2], [0, 0, 0, 0, 0, 0, 1, 0, 5, 1, 0, 1, 3, 1]
MAPS = [double(2 * 4 * 25) + k for k in range(3)]
NUMBERS = double(3 * 2 * 4).abs()

SAMPLES: dict[str, tuple[Any, ...]] = {
    "select": (X, INDEX, double(2, 2)),
    "select_backward": (double(2, 2, 5, 5), X, INDEX, double(2, 2)),
    "write_back": ([X, G], [double(2, 4)] * 2, [double(2, 2, 5, 5)] * 2, [INDEX] * 2),
    "write_back_backward": (G, [X], [double(2, 4)], [INDEX], 2),
    "relu_product": (X, MATRIX),
    "relu_product_backward": (double(2, 3, 5, 5), X, MATRIX, True),
    "relu_halved": (X, double(2, 3, 2), double(2, 1, 2, 1, 1)),
    "relu_halved_backward": (double(2, 8, 3, 3), X, double(2, 3, 2), double(2, 1, 2, 1, 1), True),
    "attention": (double(2, 4), double(2, 4) + 1, *MLPS),
    "attention_backward": (double(3, 2, 4), double(2, 4), double(2, 4) + 1, *MLPS, double(3, 2, 4).sigmoid(), True),
    "edges": (
        *(*NODE, double(2, 4), CONVOLUTIONS),
        *([double(2, 2) for _ in range(3)], [double(2, 2).abs() for _ in range(3)], [torch.zeros(2).long()] * 3),
        *(*PLAN, 0.1, 1e-5, True),
    ),
    "edges_backward": (
        *([X, G], *NODE, double(2, 4), CONVOLUTIONS, double(2, 2, 4), NUMBERS),
        *(torch.full((2 * 4 * 25,), 4, dtype=torch.uint8), MAPS, *PLAN, True),
    ),
    "collect": ([X, G], [X, G], [double(2, 4)] * 2, [double(2, 2, 5, 5)] * 2, [INDEX] * 2),
    "strongest": (double(3, 2, 4), 2, True),
    "factors": (double(3, 2, 4), CHOSEN),
    "factors_backward": (double(2, 6), [double(2, 4)] * 3, CHOSEN),
    "statistics": ([X, G], [True, True], [double(4), double(4)], [STD[0], STD[0] + 1], True, 0.1, 1e-5),
    "normalized_sum": ([X], MEAN, STD, double(1, 4), double(4), [True]),
    "normalized_sum_backward": (G, [X], MEAN, STD, None, [True]),
    "pools": (X, 2),
    "pools_backward": (HALF, HALF, TAP, [2, 4, 5, 5], 2),
    "global_pools": (X,),
    "global_pools_backward": (double(2, 4), double(2, 4), PIXEL, [2, 4, 5, 5]),
    "separable": (X, MEAN[0], STD[0], True, [W], [P], [1], 1),
    "separable_each": ([X, G], MEAN.repeat(2, 1), STD.repeat(2, 1), True, [W, W + 1], [P, P + 1], [1, 2]),
    "separable_each_backward": (
        [G, X],
        [X, G],
        MEAN.repeat(2, 1),
        STD.repeat(2, 1),
        True,
        [W] * 2,
        [P] * 2,
        [1] * 2,
        True,
    ),
    "separable_backward": (X, None, None, [G], [W], [P], [1], 1, True),
}


def test_there_is_a_sample_for_every_operator() -> None:
    prefix = "adarts::"
    names = {name.removeprefix(prefix) for name in torch._C._dispatch_get_all_op_names() if name.startswith(prefix)}
    assert names == {*SAMPLES, "total"}, "total is only on CUDA"


@pytest.mark.parametrize("name", SAMPLES)
def test_an_operator_passes_torchs_own_tests(name: str) -> None:
    """Schema, autograd, tensors without data, and the tracing of both passes."""
    learnt = name not in ("statistics",) and not name.endswith("_backward")

    def leaf(value: Any) -> Any:
        if isinstance(value, list):
            return [leaf(part) for part in value]
        is_map = isinstance(value, Tensor) and value.is_floating_point()
        return value.clone().requires_grad_(learnt) if is_map else value

    # torch traces no operator that changes arguments and returns a list.
    untraced = name == "edges"
    tests = ("test_schema", "test_autograd_registration", "test_faketensor") + ("test_aot_dispatch_dynamic",) * (
        not untraced
    )
    operator = getattr(torch.ops.adarts, name).default
    library.opcheck(operator, tuple(leaf(value) for value in SAMPLES[name]), test_utils=tests)


def learnt(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


KERNELS: dict[str, Callable[..., Sequence[Tensor]]] = {
    "select": lambda x, w, m: [kernels.select(x, INDEX[None], m[0].expand(2, 4)[:, :2])],
    "write_back": lambda x, w, m: [kernels.write_back([Contribution(x, m[:1], x[:, :2] * 2, INDEX)])],
    "relu_product": lambda x, w, m: [kernels.relu_product(x, m)],
    "relu_halved": lambda x, w, m: [kernels.relu_halved(x, m[None], m[None, :1])],
    "attention": lambda x, w, m: [kernels.attention(x[:, :, 0, 0], x[:, :, 1, 1], m[None], m.mT[None])],
    "normalized_sum": lambda x, w, m: [kernels.normalized_sum([(x, m[0], Normalization(None, None, True))])],
    "separable": lambda x, w, m: kernels.separable(x, [Separable(w, None, 1)], 1),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_second_derivative_is_refused_by_the_kernels_and_right_without(name: str) -> None:
    """Once it was zero, without a word. The first one can be taken with a graph all the same."""
    compute = KERNELS[name]

    def gradients(**how: bool) -> tuple[list[Tensor], tuple[Tensor | None, ...]]:
        inputs = learnt(X, W, MATRIX)
        loss = torch.stack([y.sum() for y in compute(*inputs)]).sum()  # linear: the incoming gradient is a constant
        return inputs, torch.autograd.grad(loss, inputs, allow_unused=True, **how)

    inputs, first = gradients(create_graph=True)
    for actual, expected in zip(first, gradients()[1], strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match=r'with adarts\.kernels\.using\("torch"\)'):
        torch.autograd.grad(sum((g**2).sum() for g in first if g is not None), inputs, allow_unused=True)
    with kernels.using("torch"):
        inputs, first = gradients(create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first if g is not None), inputs, allow_unused=True)
    assert any(g is not None and g.abs().sum() > 0 for g in second)


def test_transforms_of_functions_take_torchs_operators() -> None:
    inside = torch.func.grad(lambda m: kernels.relu_product(X, m).pow(2).sum())(MATRIX)
    (matrix,) = learnt(MATRIX)
    (expected,) = torch.autograd.grad(kernels.relu_product(X, matrix).pow(2).sum(), matrix)
    torch.testing.assert_close(inside, expected)
    many = torch.func.vmap(lambda x: kernels.relu_product(x, MATRIX))(torch.stack([X, G]))
    torch.testing.assert_close(many[1], kernels.relu_product(G, MATRIX))
    _, change = torch.func.jvp(lambda m: kernels.relu_product(X, m), (MATRIX,), (MATRIX,))
    torch.testing.assert_close(change, kernels.relu_product(X, MATRIX))


class AllKernels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = kernels.separable(x, [Separable(W, P, 1)], 1, Normalization(None, None, True))[0]
        largest, average = kernels.pools(x, 1)
        x = kernels.normalized_sum([(largest, None, Normalization(MEAN[0], STD[0], False)), (average, None, None)])
        x = kernels.write_back([Contribution(x, torch.cat(kernels.global_pools(x)[:1]), x[:, :2], INDEX)])
        return kernels.relu_product(x, MATRIX) * kernels.select(x, INDEX[None], None)[:, :1]


@pytest.mark.parametrize("how", ["exported", "traced"])
def test_graphs_for_others_hold_torchs_own_operators(how: str) -> None:
    """Or they could be read on this machine alone, in a process that has loaded this package."""
    network = AllKernels()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch finds its own tracing old
        if how == "exported":
            exported = torch.export.export(network, (X,))
            names, run = [str(node.target) for node in exported.graph.nodes], exported.module()
        else:
            run = torch.jit.trace(network, (X,))
            names = [node.kind() for node in run.inlined_graph.nodes()]
    assert len(names) > 10 and not [name for name in names if "adarts" in name]
    torch.testing.assert_close(run(X), network(X))


def test_autocast_takes_torchs_operators() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert kernels.relu_product(X.float(), MATRIX.float()).dtype == torch.bfloat16
    assert (kernels.active(), kernels.active("bfloat16")) == ("native", "torch")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_triton_is_not_used_and_the_reason_is_named() -> None:
    assert (kernels.active(device="cuda"), kernels.triton_problem()) == ("torch", "no CUDA GPU")
