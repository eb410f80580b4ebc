"""Batched candidate operations: each runs once for all edges that leave a node.

Every operation ends in its own batch normalization (without affine parameters), except the identity, `none`, noise, and the
pool of NAS-Bench-201. An operation returns its feature map before this normalization, together with the normalization, which is
applied in the weighted sum over all operations. `none` has no module: it contributes nothing to the sum and only takes its
share of the softmax. An operation without a batched form runs its plain module edge by edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adarts import kernels
from adarts.errors import ConfigError
from adarts.models import build_operation
from adarts.models.operations import noise
from adarts.supernet.batched import BatchNorm, Dense, Depthwise, Pointwise, Rows, separable_weights, some

#: a feature map, and the normalization still to be applied
Result = tuple[Tensor, kernels.Normalization | None]


class Features:
    """The selected channels of a group of edges, with cached intermediate results that several operations share.

    Args:
        x_bnhw: the selected channels.
        stride: stride of the edges.
        operations: the operations that will use it.
        rows: the edges of the group, among all edges of the operations.
        skip_dropout: dropout rate of the identity's elements.
    """

    def __init__(
        self,
        x_bnhw: Tensor,
        stride: int,
        operations: Iterable[nn.Module],
        rows: Rows = None,
        skip_dropout: float = 0.0,
    ) -> None:
        self.stride, self.rows, self.skip_dropout = stride, rows, skip_dropout
        self.x, self._to_pool, self._to_convolve = kernels.fan(x_bnhw, 3)
        self._separable = [op for op in operations if isinstance(op, SeparableConv | DilatedConv)]
        #: the counters of batches to increase by one, for all normalizations that update their statistics
        self.counters: list[Tensor] = []

    @cached_property
    def pools(self) -> tuple[Tensor, Tensor]:
        """3x3 maximum and average pooling."""
        return kernels.pools(self._to_pool, self.stride)

    @cached_property
    def rectified(self) -> Tensor:
        """The channels after a ReLU."""
        return F.relu(self.x)

    def convolved(self, operation: nn.Module) -> Tensor:
        """ReLU and the first depthwise and pointwise convolution of an operation."""
        return self._convolved[self._separable.index(operation)]  # type: ignore[arg-type]

    def convolved_twice(self, operation: nn.Module) -> Tensor:
        """Both stages of a separable convolution, before the last normalization."""
        return self._convolved_twice[operation]

    def normalization(self, norm: BatchNorm) -> kernels.Normalization:
        """The normalization of an operation; remembers its counter of batches if the statistics are updated."""
        if norm.updates:
            self.counters.append(some(norm.num_batches_tracked, self.rows))
        return norm.normalization(self.rows)

    @cached_property
    def _convolved(self) -> list[Tensor]:
        return kernels.separable(self._to_convolve, [op.first(self.rows) for op in self._separable], self.stride)

    @cached_property
    def _convolved_twice(self) -> dict[nn.Module, Tensor]:
        twice = [op for op in self._separable if isinstance(op, SeparableConv)]
        maps = [(self.convolved(op), op.second(self.rows), self.normalization(op.norm1)) for op in twice]
        return dict(zip(twice, kernels.separable_each(maps), strict=True))


class NativeOperation(nn.Module):
    """An operation that :func:`adarts.kernels.edges` computes as well."""

    kind: kernels.Kind

    @property
    def norms(self) -> tuple[BatchNorm, ...]:
        """Its normalizations; the last one is that of the result."""
        return ()

    @property
    def convolutions(self) -> tuple[Depthwise | Pointwise, ...]:
        """Its convolutions, in their order."""
        return ()

    def candidate(self) -> kernels.Candidate:
        """The operation for all edges."""
        convolutions = self.convolutions
        statistics = tuple([norm.statistics() for norm in self.norms])
        first = convolutions[0] if convolutions else None
        of_kernel = (first.weight.shape[-1], first.dilation) if isinstance(first, Depthwise) else ()
        return kernels.Candidate(self.kind, tuple([conv.weight for conv in convolutions]), statistics, *of_kernel)


class SeparableConv(NativeOperation):
    """Twice (ReLU, depthwise, pointwise, BN); the first depthwise carries the stride."""

    kind = kernels.Kind.TWICE

    def __init__(self, num_edges: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.depthwise1 = Depthwise(num_edges, channels, kernel)
        self.pointwise1 = Pointwise(num_edges, channels, channels)
        self.norm1 = BatchNorm(num_edges, channels)
        self.depthwise2 = Depthwise(num_edges, channels, kernel)
        self.pointwise2 = Pointwise(num_edges, channels, channels)
        self.norm2 = BatchNorm(num_edges, channels)

    def first(self, rows: Rows) -> kernels.Separable:
        return separable_weights(self.depthwise1, self.pointwise1, rows)

    def second(self, rows: Rows) -> kernels.Separable:
        return separable_weights(self.depthwise2, self.pointwise2, rows)

    def forward(self, features: Features) -> Result:
        return features.convolved_twice(self), features.normalization(self.norm2)

    @property
    def norms(self) -> tuple[BatchNorm, ...]:
        return self.norm1, self.norm2

    @property
    def convolutions(self) -> tuple[Depthwise | Pointwise, ...]:
        return self.depthwise1, self.pointwise1, self.depthwise2, self.pointwise2


class DilatedConv(NativeOperation):
    """ReLU, depthwise with dilation 2, pointwise, BN."""

    kind = kernels.Kind.ONCE

    def __init__(self, num_edges: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = Depthwise(num_edges, channels, kernel, dilation=2)
        self.pointwise = Pointwise(num_edges, channels, channels)
        self.norm = BatchNorm(num_edges, channels)

    def first(self, rows: Rows) -> kernels.Separable:
        return separable_weights(self.depthwise, self.pointwise, rows)

    def forward(self, features: Features) -> Result:
        return features.convolved(self), features.normalization(self.norm)

    @property
    def norms(self) -> tuple[BatchNorm, ...]:
        return (self.norm,)

    @property
    def convolutions(self) -> tuple[Depthwise | Pointwise, ...]:
        return self.depthwise, self.pointwise


class Pool(NativeOperation):
    """3x3 maximum or average pooling (the average ignores padding), then BN if the space normalizes its pools."""

    def __init__(self, num_edges: int, channels: int, average: bool, normalized: bool) -> None:
        super().__init__()
        self.norm = BatchNorm(num_edges, channels) if normalized else None
        self.average = average
        self.kind = kernels.Kind.AVERAGE_POOL if average else kernels.Kind.MAX_POOL

    def forward(self, features: Features) -> Result:
        norm = None if self.norm is None else features.normalization(self.norm)
        return features.pools[self.average], norm

    @property
    def norms(self) -> tuple[BatchNorm, ...]:
        return () if self.norm is None else (self.norm,)


class Convolution(nn.Module):
    """ReLU, dense convolution, BN (NAS-Bench-201), on edges of stride 1."""

    def __init__(self, num_edges: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = Pointwise(num_edges, channels, channels) if kernel == 1 else Dense(num_edges, channels, kernel)
        self.norm = BatchNorm(num_edges, channels)

    def forward(self, features: Features) -> Result:
        return self.conv(features.rectified, features.rows), features.normalization(self.norm)


class Identity(NativeOperation):
    """`skip_connect` on an edge of stride 1."""

    kind = kernels.Kind.IDENTITY

    def forward(self, features: Features) -> Result:
        # P-DARTS uses dropout in training, because skip connections are chosen too often.
        return F.dropout(features.x, features.skip_dropout, self.training and features.skip_dropout > 0), None


class Noise(nn.Module):
    """Noise on every edge (S4)."""

    def forward(self, features: Features) -> Result:
        return noise(features.x, features.stride), None


class FactorizedReduce(NativeOperation):
    """`skip_connect` on an edge of stride 2: two 1x1 convolutions, on the even and on the odd pixels, side by side, then BN."""

    kind = kernels.Kind.HALVED

    def __init__(self, num_edges: int, channels: int) -> None:
        super().__init__()
        self.conv1 = Pointwise(num_edges, channels, channels // 2)
        self.conv2 = Pointwise(num_edges, channels, channels - channels // 2)
        self.norm = BatchNorm(num_edges, channels)

    def forward(self, features: Features) -> Result:
        weights = [some(conv.weight, features.rows) for conv in (self.conv1, self.conv2)]
        return kernels.relu_halved(features.x, *weights), features.normalization(self.norm)

    @property
    def norms(self) -> tuple[BatchNorm, ...]:
        return (self.norm,)

    @property
    def convolutions(self) -> tuple[Depthwise | Pointwise, ...]:
        return self.conv1, self.conv2


class EdgeByEdge(nn.Module):
    """The plain module of every edge, one after the other, without affine parameters; slow, but works for any operation."""

    def __init__(self, name: str, num_edges: int, channels: int, stride: int) -> None:
        super().__init__()
        self.name, self.stride = name, stride
        self.by_edge = nn.ModuleList(build_operation(name, channels, stride, affine=False) for _ in range(num_edges))

    def forward(self, features: Features) -> Result:
        modules = list(self.by_edge)[features.rows or slice(None)]
        entering = features.x.chunk(len(modules), 1)
        results = [module(x) for module, x in zip(modules, entering, strict=True)]
        b, c, *sides = entering[0].shape
        expected, found = (b, c, *(-(-side // self.stride) for side in sides)), tuple(results[0].shape)
        if found != expected:
            what = f"with stride {self.stride}, operation '{self.name}' turns {(b, c, *sides)} into {found}"
            raise ConfigError(
                f"{what}, but must return {expected}: the same channels, and sides of ceil(n / stride) pixels"
            )
        return torch.cat(results, 1).contiguous(memory_format=torch.channels_last), None


def skip(num_edges: int, channels: int, stride: int) -> nn.Module:
    """The operation `skip_connect`."""
    return Identity() if stride == 1 else FactorizedReduce(num_edges, channels)


def _convolution(kernel: int, num_edges: int, channels: int, stride: int) -> nn.Module:
    if stride == 1:
        return Convolution(num_edges, channels, kernel)
    return EdgeByEdge(f"nor_conv_{kernel}x{kernel}", num_edges, channels, stride)


BATCHED: dict[str, Callable[[int, int, int, bool], nn.Module]] = {
    "noise": lambda e, c, s, normalized: Noise(),
    "max_pool_3x3": lambda e, c, s, normalized: Pool(e, c, False, True),
    "avg_pool_3x3": lambda e, c, s, normalized: Pool(e, c, True, normalized),
    "skip_connect": lambda e, c, s, normalized: skip(e, c, s),
    "sep_conv_3x3": lambda e, c, s, normalized: SeparableConv(e, c, 3),
    "sep_conv_5x5": lambda e, c, s, normalized: SeparableConv(e, c, 5),
    "dil_conv_3x3": lambda e, c, s, normalized: DilatedConv(e, c, 3),
    "dil_conv_5x5": lambda e, c, s, normalized: DilatedConv(e, c, 5),
    "nor_conv_1x1": lambda e, c, s, normalized: _convolution(1, e, c, s),
    "nor_conv_3x3": lambda e, c, s, normalized: _convolution(3, e, c, s),
}
"""Name -> factory (edges, channels, stride, whether pools are normalized) -> module. Batching is only an optimization."""


def candidate(name: str, num_edges: int, channels: int, stride: int, normalized_pools: bool) -> nn.Module:
    """Build an operation for all edges that leave a node.

    Raises:
        ConfigError: the operation is unknown.
    """
    if name in BATCHED:
        return BATCHED[name](num_edges, channels, stride, normalized_pools)
    return EdgeByEdge(name, num_edges, channels, stride)
