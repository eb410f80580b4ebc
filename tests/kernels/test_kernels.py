"""The native kernels compute what torch's own operators compute: results and all gradients, for awkward sizes too."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from adarts import kernels
from adarts.kernels import Contribution, Normalization, Separable, build

BUILDS = {
    "this processor": "-march=native -mprefer-vector-width=512",
    "AVX-512": "-march=x86-64-v4",
    "AVX2": "-march=x86-64-v3",
    "plain": "",
}
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}
SIZES = [(2, 9, 7), (1, 1, 1), (3, 8, 8), (1, 2, 5)]  # batch, height, width

if build.status().functions is None:
    pytest.skip(f"no native kernels: {build.status().detail}", allow_module_level=True)


@pytest.fixture(autouse=True, params=BUILDS)
def native(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each build once; the processor must have what it was built for."""
    needed = {"AVX-512": "avx512f", "AVX2": "avx2"}.get(request.param)
    if needed and needed not in build.processor():
        pytest.skip(f"this processor has no {request.param}")
    built = build.load(BUILDS[request.param])
    assert built.functions is not None, built.detail
    monkeypatch.setattr(build, "status", lambda: built)


@pytest.fixture(params=TOLERANCE, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    chosen: torch.dtype = request.param
    return chosen


@pytest.fixture(autouse=True)
def switch_back() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    kernels.use("auto")


def leaf(*shape: int, dtype: torch.dtype) -> Tensor:
    x = torch.randn(shape, dtype=dtype)
    return (x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x).requires_grad_()


def agree(compute: Callable[[], Sequence[Tensor]], inputs: Sequence[Tensor], dtype: torch.dtype) -> None:
    """Results and the gradients of all inputs, native and not; the error as a share of the largest value, NaN where the other
    is.
    """
    results = {}
    for choice in ("torch", "auto"):
        kernels.use(choice)  # type: ignore[arg-type]
        outputs = compute()
        generator = torch.Generator().manual_seed(1)
        directions = [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(dtype) for y in outputs]
        gradients = torch.autograd.grad(outputs, inputs, directions)
        results[choice] = [*outputs, *gradients]
    for actual, expected in zip(results["auto"], results["torch"], strict=True):
        assert actual.shape == expected.shape
        assert torch.equal(actual.isnan(), expected.isnan())
        error = (actual - expected).nan_to_num().abs().max() / expected.nan_to_num().abs().max().clamp_min(1e-3)
        assert error < TOLERANCE[dtype]


def statistics(n: int, dtype: torch.dtype, training: bool) -> Normalization:
    return Normalization(torch.rand(n, dtype=dtype), 1 + torch.rand(n, dtype=dtype), training)


@pytest.mark.parametrize("normalized", [None, "training", "evaluation"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("edges", "channels", "size"),
    [
        (3, 4, (2, 9, 7)),
        (1, 1, (1, 2, 5)),
        (2, 2, (3, 8, 8)),
        (1, 8, (2, 9, 7)),
        (2, 16, (1, 2, 5)),
        (1, 3, (3, 8, 8)),
        (5, 2, (1, 1, 1)),
        (5, 2, (2, 9, 7)),
    ],
)
def test_separable(
    edges: int,
    channels: int,
    size: tuple[int, int, int],
    stride: int,
    normalized: str | None,
    dtype: torch.dtype,
) -> None:
    batch, height, width = size
    if normalized == "training" and batch * height * width == 1:
        pytest.skip("one number has no variance")
    n = edges * channels
    x = leaf(batch, n, height, width, dtype=dtype)
    shapes = [(3, 1), (5, 1), (3, 2), (5, 2), (7, 1)]
    depthwise = [leaf(n, 1, k, k, dtype=dtype) for k, _ in shapes]
    pointwise = [leaf(edges, channels, channels, dtype=dtype) for _ in shapes]
    convolutions = [Separable(w, p, d) for w, p, (_, d) in zip(depthwise, pointwise, shapes, strict=True)]
    norm = statistics(n, dtype, normalized == "training") if normalized else None
    if norm is not None and norm.training:
        norm = Normalization(None, None, True)
    agree(lambda: kernels.separable(x, convolutions, stride, norm), [x, *depthwise, *pointwise], dtype)


@pytest.mark.parametrize("channels", [4, 3])
def test_separable_each(channels: int, dtype: torch.dtype) -> None:
    n = 2 * channels
    maps = [leaf(2, n, 6, 5, dtype=dtype) for _ in range(2)]
    depthwise = [leaf(n, 1, k, k, dtype=dtype) for k in (3, 5)]
    pointwise = [leaf(2, channels, channels, dtype=dtype) for _ in maps]
    norm = Normalization(None, None, True)

    def compute() -> list[Tensor]:
        convolutions = [Separable(w, p, 1) for w, p in zip(depthwise, pointwise, strict=True)]
        return kernels.separable_each([(x, c, norm) for x, c in zip(maps, convolutions, strict=True)])

    agree(compute, [*maps, *depthwise, *pointwise], dtype)


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_alone(stride: int, dtype: torch.dtype) -> None:
    x, weight = leaf(2, 36, 6, 5, dtype=dtype), leaf(36, 1, 5, 5, dtype=dtype)
    agree(lambda: kernels.separable(x, [Separable(weight, None, 2)], stride), [x, weight], dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [1, 5, 12, 16, 48])
@pytest.mark.parametrize("training", [True, False])
def test_normalized_sum(size: tuple[int, int, int], n: int, training: bool, dtype: torch.dtype) -> None:
    batch, height, width = size
    if batch * height * width == 1:
        pytest.skip("one number has no variance")
    maps = [leaf(batch, n, height, width, dtype=dtype) for _ in range(3)]
    gains, bias = [leaf(n, dtype=dtype) for _ in maps], leaf(n, dtype=dtype)
    running = {choice: [statistics(n, dtype, training) for _ in maps] for choice in ("torch", "auto")}
    for a, b in zip(*running.values(), strict=True):
        for before, after in ((a.mean_n, b.mean_n), (a.var_n, b.var_n)):
            assert before is not None and after is not None
            after.copy_(before)

    def compute() -> list[Tensor]:
        norms = [*running["torch" if build.functions() is None else "auto"][:2], None]  # the last is only scaled
        return [kernels.normalized_sum(list(zip(maps, gains, norms, strict=True)), bias)]

    agree(compute, [*maps, *gains, bias], dtype)
    for a, b in zip(*running.values(), strict=True):
        torch.testing.assert_close(a.mean_n, b.mean_n)
        torch.testing.assert_close(a.var_n, b.var_n)


def test_variance_of_numbers_far_from_zero(dtype: torch.dtype) -> None:
    offset = 1e3 if dtype == torch.float32 else 1e7
    z = offset + torch.randn(4, 3, 16, 16, dtype=dtype)
    norm = Normalization(torch.zeros(3, dtype=dtype), torch.zeros(3, dtype=dtype), True, momentum=1.0)
    kernels.normalized_sum([(z, None, norm)])
    assert norm.var_n is not None
    torch.testing.assert_close(norm.var_n.double(), z.double().var((0, 2, 3)), rtol=1e-4, atol=0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n", [1, 5, 16])
@pytest.mark.parametrize("size", SIZES)
def test_pools(size: tuple[int, int, int], n: int, stride: int, dtype: torch.dtype) -> None:
    x = leaf(size[0], n, *size[1:], dtype=dtype)
    agree(lambda: kernels.pools(x, stride), [x], dtype)
    agree(lambda: kernels.global_pools(x), [x], dtype)


def test_max_pool_gives_a_tie_to_the_same_pixel_as_torch(dtype: torch.dtype) -> None:
    x = torch.zeros(1, 2, 4, 4, dtype=dtype, requires_grad=True)
    agree(lambda: kernels.pools(x, 1)[:1], [x], dtype)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_select(per_image: bool, scaled: bool, dtype: torch.dtype) -> None:
    batch, edges, channels, selected = 3, 2, 6, 4  # so that two edges choose the same channel
    x, scale = leaf(batch, channels, 3, 5, dtype=dtype), leaf(batch, edges * selected, dtype=dtype)
    index = torch.rand(batch if per_image else 1, edges, channels).topk(selected).indices
    inputs = [x, scale] if scaled else [x]
    agree(lambda: [kernels.select(x, index, scale if scaled else None)], inputs, dtype)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_write_back(size: tuple[int, int, int], per_image: bool, dtype: torch.dtype) -> None:
    batch, height, width = size
    channels, selected, edges = 6, 3, 3
    bypass = [leaf(batch, channels, height, width, dtype=dtype) for _ in range(edges)]
    gates = [leaf(n, channels, dtype=dtype) for n in (batch, 1, batch)]
    mixed = leaf(batch, 2 * selected, height, width, dtype=dtype)
    other = leaf(batch, selected, height, width, dtype=dtype)
    index = [torch.rand(batch if per_image else 1, channels).topk(selected).indices for _ in range(edges)]

    def compute() -> list[Tensor]:
        slices = [*mixed.split(selected, 1), other]
        return [kernels.write_back([Contribution(*c) for c in zip(bypass, gates, slices, index, strict=True)])]

    agree(compute, [*bypass, *gates, mixed, other], dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 1), (5, 3), (16, 16), (48, 20)])
def test_relu_product(size: tuple[int, int, int], channels_in: int, channels_out: int, dtype: torch.dtype) -> None:
    x, matrix = leaf(size[0], channels_in, *size[1:], dtype=dtype), leaf(channels_out, channels_in, dtype=dtype)
    agree(lambda: [kernels.relu_product(x, matrix)], [x, matrix], dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("groups", "inputs", "even", "odd"), [(1, 64, 20, 20), (3, 4, 2, 2), (2, 5, 2, 3), (2, 32, 16, 16)]
)
def test_relu_halved(
    size: tuple[int, int, int], groups: int, inputs: int, even: int, odd: int, dtype: torch.dtype
) -> None:
    x = leaf(size[0], groups * inputs, *size[1:], dtype=dtype)
    weights = [leaf(groups, even, inputs, dtype=dtype), leaf(groups, odd, inputs, 1, 1, dtype=dtype)]
    agree(lambda: [kernels.relu_halved(x, *weights)], [x, *weights], dtype)


def test_relu_halved_is_two_strided_convolutions(dtype: torch.dtype) -> None:
    x, even, odd = (torch.randn(s, dtype=dtype) for s in ((2, 6, 7, 8), (3, 6, 1, 1), (3, 6, 1, 1)))
    shifted = F.pad(x, (-1, 0, -1, 1)).relu()
    expected = torch.cat([F.conv2d(x.relu(), even, stride=2), F.conv2d(shifted, odd, stride=2)], 1)
    torch.testing.assert_close(kernels.relu_halved(x, even[None], odd[None]), expected)


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize(("batch", "channels", "edges", "hidden"), [(4, 16, 3, 4), (1, 5, 1, 1), (7, 64, 5, 16)])
def test_attention_and_the_channels_that_it_selects(
    batch: int, channels: int, edges: int, hidden: int, per_image: bool, dtype: torch.dtype
) -> None:
    """The scores are small, so that none is rounded to that of another channel."""
    pooled = [leaf(batch, channels, dtype=dtype) for _ in range(2)]
    with torch.no_grad():
        weights = [leaf(edges, hidden, channels, dtype=dtype) / 8, leaf(edges, channels, hidden, dtype=dtype) / 8]
    for weight in weights:
        weight.requires_grad_()
    count = max(1, channels // 4)
    agree(lambda: [kernels.attention(*pooled, *weights)], [*pooled, *weights], dtype)
    score = leaf(edges, batch, channels, dtype=dtype)
    chosen = kernels.strongest(score.detach(), count, per_image)
    with kernels.using("torch"):
        assert torch.equal(chosen, kernels.strongest(score.detach(), count, per_image))

    def scaled() -> list[Tensor]:
        scale, gates = kernels.factors(score, chosen)
        return [scale, *gates]

    agree(scaled, [score], dtype)


def test_equal_scores_select_the_first_channels_and_nan_is_the_highest(dtype: torch.dtype) -> None:
    score = torch.tensor([1, 2, 2, float("nan"), 2], dtype=dtype).expand(1, 1, 5)
    assert kernels.strongest(score, 3, True).tolist() == [[[1, 2, 3]]]


def leaf_with_nan(*shape: int, dtype: torch.dtype) -> Tensor:
    """One NaN in the middle of the second channel, with all taps of a convolution around it."""
    x = leaf(*shape, dtype=dtype)
    with torch.no_grad():
        x[0, 1, shape[2] // 2, shape[3] // 2] = float("nan")
    return x


@pytest.mark.parametrize("normalized", [None, "training", "evaluation"])
def test_separable_lets_nan_through(normalized: str | None, dtype: torch.dtype) -> None:
    x, depthwise = leaf_with_nan(2, 4, 9, 9, dtype=dtype), leaf(4, 1, 3, 3, dtype=dtype)
    pointwise = leaf(1, 4, 4, dtype=dtype)  # of more groups torch would make one matrix, whose zeros spread a NaN
    norm = statistics(4, dtype, normalized == "training") if normalized else None
    agree(lambda: kernels.separable(x, [Separable(depthwise, pointwise, 1)], 1, norm), [x, depthwise, pointwise], dtype)


@pytest.mark.parametrize("training", [True, False])
def test_normalized_sum_lets_nan_through(training: bool, dtype: torch.dtype) -> None:
    maps, gain = [leaf_with_nan(2, 5, 4, 3, dtype=dtype), leaf(2, 5, 4, 3, dtype=dtype)], leaf(5, dtype=dtype)
    norm = statistics(5, dtype, training)
    agree(lambda: [kernels.normalized_sum([(z, gain, norm) for z in maps])], [*maps, gain], dtype)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n", [3, 16])
def test_pools_let_nan_through(n: int, stride: int, dtype: torch.dtype) -> None:
    x = leaf_with_nan(2, n, 6, 5, dtype=dtype)
    agree(lambda: kernels.pools(x, stride), [x], dtype)
    mean, largest = kernels.global_pools(x)
    assert torch.equal(largest.isnan(), mean.isnan()) and largest.isnan().sum() == largest[0, 1].isnan() == 1


def test_relu_product_lets_nan_through(dtype: torch.dtype) -> None:
    x, matrix = leaf_with_nan(2, 5, 4, 3, dtype=dtype), leaf(3, 5, dtype=dtype)
    agree(lambda: [kernels.relu_product(x, matrix)], [x, matrix], dtype)


def test_relu_halved_lets_nan_through(dtype: torch.dtype) -> None:
    x, even, odd = leaf_with_nan(2, 5, 4, 3, dtype=dtype), leaf(1, 3, 5, dtype=dtype), leaf(1, 2, 5, dtype=dtype)
    agree(lambda: [kernels.relu_halved(x, even, odd)], [x, even, odd], dtype)


def test_select_and_write_back_let_nan_through(dtype: torch.dtype) -> None:
    """And keep it in its channel; torch's products with one-hot matrices spread it over the pixel."""
    x, index = leaf_with_nan(2, 4, 3, 3, dtype=dtype), torch.tensor([[[3, 1]]])
    selected = kernels.select(x, index, None)
    assert torch.equal(selected.isnan(), x[:, [3, 1]].isnan())
    (gradient,) = torch.autograd.grad(selected, x, selected.detach())
    assert torch.equal(gradient.isnan(), x.isnan())
    bypass = leaf(2, 4, 3, 3, dtype=dtype)
    for contribution in (
        Contribution(x, torch.ones(1, 4, dtype=dtype), bypass[:, :2], index[0]),
        Contribution(bypass, torch.ones(1, 4, dtype=dtype), x[:, [3, 1]], index[0]),
    ):
        assert torch.equal(kernels.write_back([contribution]).isnan(), x.isnan())
