"""What the native kernels cannot take goes to torch's operators, which take or refuse it, or is refused by the kernels."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from adarts import kernels
from adarts.kernels import Choice, Contribution, Normalization, Separable, build

if build.status().functions is None:
    pytest.skip(f"no native kernels: {build.status().detail}", allow_module_level=True)


def maps(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    return x.contiguous(memory_format=torch.channels_last)


X = maps(2, 4, 5, 5)
ONES, WIDE = torch.ones(4), torch.arange(16.0)
W3 = torch.ones(4, 1, 3, 3)
TRAINING, EVALUATION = Normalization(None, None, True), Normalization(torch.zeros(4), ONES, False)


def norm(*norms: Normalization | None, x: Tensor = X, **more: Tensor) -> Tensor:
    return kernels.normalized_sum([(x, None, norm) for norm in norms], **more)


def write_back(gate: Tensor, mixed: Tensor, index: Tensor) -> Tensor:
    good = Contribution(X, torch.ones(1, 4), X[:, :2], torch.tensor([[0, 1]]))
    return kernels.write_back([good, Contribution(X, gate, mixed, index)])


REFUSED: dict[str, Callable[[], object]] = {
    "no running statistics in evaluation": lambda: norm(Normalization(None, None, False)),
    "no variance in evaluation": lambda: norm(Normalization(ONES, None, False)),
    "running statistics of another type": lambda: norm(Normalization(ONES, ONES, True), x=X.double()),
    "running statistics of other channels": lambda: norm(Normalization(WIDE, WIDE, False)),
    "one value a channel": lambda: norm(TRAINING, x=X[:1, :, :1, :1]),
    "one value a channel before a convolution": lambda: kernels.separable(
        X[:1, :, :1, :1], [Separable(W3, None, 1)], 1, TRAINING
    ),
    "maps of other sizes": lambda: kernels.normalized_sum([(X, None, None), (X[..., :3], None, None)]),
    "gain of other channels": lambda: kernels.normalized_sum([(X, torch.ones(3), EVALUATION)]),
    "bias of other channels": lambda: norm(EVALUATION, bias_n=torch.ones(3)),
    "depthwise weight of other channels": lambda: kernels.separable(X, [Separable(W3[:3], None, 1)], 1),
    "pointwise weight of other channels": lambda: kernels.separable(X, [Separable(W3, torch.ones(1, 8, 8), 1)], 1),
    "matrix of other channels": lambda: kernels.relu_product(X, torch.ones(2, 5)),
    "matrix of another type": lambda: kernels.relu_product(X, torch.ones(2, 4).double()),
    "halving matrix of other channels": lambda: kernels.relu_halved(X, torch.ones(1, 2, 4), torch.ones(1, 2, 5)),
    "attention of other channels": lambda: kernels.attention(
        *torch.ones(2, 2, 4), torch.ones(3, 2, 5), torch.ones(3, 5, 2)
    ),
    "more channels than there are": lambda: kernels.strongest(torch.rand(3, 2, 4), 5, True),
    "attention index too large": lambda: kernels.factors(torch.rand(1, 2, 4), torch.tensor([[[0, 4]]])),
    "index too large": lambda: kernels.select(X, torch.tensor([[[0, 4]]]), None),
    "index too small": lambda: kernels.select(X, torch.tensor([[[0, -1]]]), None),
    "index of another type": lambda: kernels.select(X, torch.tensor([[[0, 1]]]).int(), None),
    "index of other images": lambda: kernels.select(X, torch.zeros(3, 1, 2, dtype=torch.long), None),
    "scale of other channels": lambda: kernels.select(X, torch.tensor([[[0, 1]]]), torch.ones(2, 3)),
    "place too large": lambda: write_back(torch.ones(1, 4), X[:, :2], torch.tensor([[0, 4]])),
    "gate of other channels": lambda: write_back(torch.ones(1, 3), X[:, :2], torch.tensor([[0, 1]])),
    "results of other channels": lambda: write_back(torch.ones(1, 4), X[:, :3], torch.tensor([[0, 1]])),
    "results of other sizes": lambda: write_back(torch.ones(1, 4), X[:, :2, :3], torch.tensor([[0, 1]])),
    "a pool of nothing": lambda: kernels.pools(X[:, :, :0], 1),
    "a global pool of nothing": lambda: kernels.global_pools(X[:, :, :0]),
}
TAKEN: dict[str, Callable[[], Tensor]] = {
    "training and evaluation in one call": lambda: norm(TRAINING, EVALUATION, None),
    "with and without running statistics": lambda: norm(TRAINING, Normalization(WIDE[:4].clone(), ONES.clone(), True)),
    "statistics, gain and bias that are not contiguous": lambda: kernels.normalized_sum(
        [(X, WIDE[8::2], Normalization(WIDE[::4], WIDE[1::4], False))], WIDE[1:8:2]
    ),
    "gain of another type": lambda: kernels.normalized_sum([(X, torch.full((4,), 0.5).double(), None)]),
    "bias for all channels": lambda: norm(None, bias_n=torch.ones(1).expand(4)),
    "one scale for all images": lambda: kernels.select(X, torch.tensor([[[3, 1]]]), torch.tensor([[2.0, 3.0]])),
    "groups of another size in each convolution": lambda: torch.cat(
        kernels.separable(X, [Separable(W3, torch.ones(g, 4 // g, 4 // g), 1) for g in (1, 2)], 1)
    ),
    "no images": lambda: norm(TRAINING, x=X[:0]),
    "a pool of no images": lambda: kernels.global_pools(X[:0])[0],
}


@pytest.mark.parametrize("choice", ["torch", "auto"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str, choice: Choice) -> None:
    with kernels.using(choice), pytest.raises((RuntimeError, ValueError, IndexError)):
        REFUSED[what]()


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_taken(what: str) -> None:
    with kernels.using("torch"):
        expected = TAKEN[what]()
    torch.testing.assert_close(TAKEN[what](), expected)


def test_running_statistics_follow_where_they_lie() -> None:
    behind = torch.zeros(8)
    norm(Normalization(behind[::2], torch.ones(4), True, momentum=1.0))
    torch.testing.assert_close(behind[::2], X.mean((0, 2, 3)))
    assert not behind[1::2].any()


# Ever more memory until a large convolution fits; before, it must fail in a way that can be caught.
OUT_OF_MEMORY = """
import re, resource, sys, torch
from adarts import kernels
from adarts.engine.memory import is_out_of_memory
threads = int(sys.argv[1])
torch.set_num_threads(threads)
weight, matrix = torch.randn(16, 1, 5, 5, requires_grad=True), torch.randn(4, 4, 4)
compute = lambda x: kernels.separable(x, [kernels.Separable(weight, matrix, 1)], 1)[0]
compute(torch.randn(threads, 16, 8, 8)).backward(torch.ones(threads, 16, 8, 8))  # loads what it needs
x = torch.randn(threads, 16, 512, 512).contiguous(memory_format=torch.channels_last)
y, g = compute(x), torch.ones(threads, 16, 512, 512)
size = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1])
seen = []
for extra in range(4, 400, 12):
    resource.setrlimit(resource.RLIMIT_AS, (size + (extra << 20), resource.RLIM_INFINITY))
    try:
        y.backward(g, retain_graph=True) if sys.argv[2] == "backward" else compute(x)
        break
    except (RuntimeError, MemoryError) as error:
        assert is_out_of_memory(error), error
        seen.append(type(error).__name__)
print(*seen, "fits")
"""


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_too_little_memory_for_a_kernel_is_an_error_that_can_be_caught(threads: str, direction: str) -> None:
    command = [sys.executable, "-c", OUT_OF_MEMORY, threads, direction]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MemoryError" in done.stdout and done.stdout.endswith("fits\n")
