"""Several separable convolutions of one feature map: ReLU (or batch normalization and ReLU), depthwise, pointwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.dense import grouped_product
from adarts.kernels.norm import Normalization, normalized_sum, statistics, together
from adarts.kernels.operators import channels_last, define, empty, fused

_KERNELS = (3, 5, 7)
#: group sizes for which the kernel computes the pointwise convolution: a group fills vectors, or a vector holds several groups.
#: For all other sizes, a matrix product is faster.
_GROUPS = (1, 2, 4, 8, 16)


class Separable(NamedTuple):
    """Weights of one separable convolution.

    Attributes:
        depthwise_n1kk: (n, 1, k, k), or with n as groups and channels (g, c, 1, k, k).
        pointwise_gcc: (groups, channels, channels), groups * channels = n, and the 1x1 of a kernel or not; None: no pointwise
            convolution.
        dilation: dilation of the depthwise convolution.
    """

    depthwise_n1kk: Tensor
    pointwise_gcc: Tensor | None
    dilation: int


def separable(
    x_bnhw: Tensor,
    convolutions: Sequence[Separable],
    stride: int,
    norm: Normalization | None = None,
) -> list[Tensor]:
    """Separable convolutions of ReLU(x), or of ReLU(norm(x)); same padding, square odd kernels.

    Args:
        x_bnhw: feature map.
        convolutions: the convolutions, in the order of the results.
        stride: stride of the depthwise convolutions; 2 halves the image, rounding up.
        norm: normalization before the ReLU.

    Returns:
        Feature maps (B, n, ceil(H / stride), ceil(W / stride)).
    """
    weights = [c.depthwise_n1kk for c in convolutions]
    if not (_fits(x_bnhw, convolutions) and stride in (1, 2) and (norm is None or together(x_bnhw, [norm]))):
        x = F.relu(x_bnhw if norm is None else normalized_sum([(x_bnhw, None, norm)]))
        return [_torch(x, convolution, stride) for convolution in convolutions]
    fused = _fused(convolutions)
    x = channels_last(x_bnhw)
    results: list[Tensor] = torch.ops.adarts.separable(
        x,
        *((None, None) if norm is None else statistics([x], [norm])),
        norm is not None and norm.training,
        [w.contiguous() for w in weights],
        [c.pointwise_gcc.contiguous() for c in convolutions if c.pointwise_gcc is not None] if fused else [],
        [c.dilation for c in convolutions],
        stride,
    )
    return results if fused else [_pointwise(y, c.pointwise_gcc) for y, c in zip(results, convolutions, strict=True)]


def separable_each(maps: Sequence[tuple[Tensor, Separable, Normalization]]) -> list[Tensor]:
    """A separable convolution of stride 1 of every feature map, after its own normalization and a ReLU.

    Args:
        maps: (feature map, convolution, normalization), in the order of the results; all feature maps have the same shape.
    """
    xs, convolutions, norms = [x for x, _, _ in maps], [c for _, c, _ in maps], [norm for _, _, norm in maps]
    together_fit = all(x.shape == xs[0].shape and x.dtype is xs[0].dtype for x in xs) and together(xs[0], norms)
    if not (together_fit and _fits(xs[0], convolutions)):
        return [separable(x, [convolution], 1, norm)[0] for x, convolution, norm in maps]
    fused = _fused(convolutions)
    xs = [channels_last(x) for x in xs]
    results: list[Tensor] = torch.ops.adarts.separable_each(
        xs,
        *statistics(xs, norms),
        norms[0].training,
        [c.depthwise_n1kk.contiguous() for c in convolutions],
        [c.pointwise_gcc.contiguous() for c in convolutions if c.pointwise_gcc is not None] if fused else [],
        [c.dilation for c in convolutions],
    )
    return results if fused else [_pointwise(y, c.pointwise_gcc) for y, c in zip(results, convolutions, strict=True)]


def _fits(x_bnhw: Tensor, convolutions: Sequence[Separable]) -> bool:
    """Whether the kernels accept the weights."""
    n = x_bnhw.shape[1]
    tensors: list[Tensor | None] = []
    for weight, matrix, dilation in convolutions:
        tensors += (weight, matrix)
        one, height, width = weight.shape[-3:]
        if weight.numel() != n * height * width or one != 1 or height != width or width not in _KERNELS or dilation < 1:
            return False
        if matrix is not None:
            groups, outputs, inputs = matrix.shape[:3]
            if groups * outputs != n or outputs != inputs or matrix.numel() != n * inputs:
                return False
    return fused(x_bnhw, *tensors)


def _fused(convolutions: Sequence[Separable]) -> bool:
    """Whether the kernel also computes the pointwise convolutions."""
    first = convolutions[0].pointwise_gcc
    if first is None or first.shape[2] not in _GROUPS:
        return False
    others = (c.pointwise_gcc for c in convolutions[1:])
    return all(matrix is not None and matrix.shape == first.shape for matrix in others)


def _torch(x_bnhw: Tensor, convolution: Separable, stride: int) -> Tensor:
    weight, dilation = convolution.depthwise_n1kk.flatten(0, -4), convolution.dilation
    padding = dilation * (weight.shape[-1] - 1) // 2
    y = F.conv2d(x_bnhw, weight, None, stride, padding, dilation, groups=weight.shape[0])
    return _pointwise(y, convolution.pointwise_gcc)


def _pointwise(y_bnhw: Tensor, matrix_gcc: Tensor | None) -> Tensor:
    return y_bnhw if matrix_gcc is None else grouped_product(y_bnhw, matrix_gcc.flatten(2))


def _results(x: Tensor, *arguments: Any) -> list[Tensor]:
    depthwise, stride = arguments[3], arguments[6]
    batch, n, height, width = x.shape
    return [empty(x, batch, n, -(-height // stride), -(-width // stride)) for _ in depthwise]


def _sizes(x: Tensor, depthwise: list[Tensor], pointwise: list[Tensor]) -> list[list[int]]:
    channels = pointwise[0].shape[2] if pointwise else 0
    return [[*x.shape, len(depthwise), channels], [w.shape[-1] for w in depthwise]]


def _save(_: list[Tensor], *arguments: Any) -> tuple[Any, ...]:
    depthwise, pointwise = arguments[4:6]
    return *arguments, any(w.requires_grad for w in (*depthwise, *pointwise))


def _backward(
    gz: Sequence[Tensor],
    x: Tensor,
    mean: Tensor | None,
    inv_std: Tensor | None,
    batch_statistics: bool,
    depthwise: list[Tensor],
    *others: Any,
) -> tuple[Any, ...]:
    gz = [channels_last(g) for g in gz]
    gx, *gw = torch.ops.adarts.separable_backward(x, mean, inv_std, gz, depthwise, *others)
    if mean is not None:
        gx, _, _ = torch.ops.adarts.normalized_sum_backward(gx, [x], mean, inv_std, None, [batch_statistics])
    g_weights = (gw[: len(depthwise)], gw[len(depthwise) :]) if gw else (None, None)
    return gx, None, None, None, *g_weights, None, None


define(
    "separable(Tensor x, Tensor? mean, Tensor? inv_std, bool batch_statistics, Tensor[] depthwise, Tensor[] pointwise, "
    "int[] dilation, int stride) -> Tensor[]",
    _results,
    lambda x, mean, inv_std, batch_statistics, depthwise, pointwise, *_: _sizes(x, depthwise, pointwise),
    _save,
    _backward,
)
# Returns the gradients of the ReLU's argument, of the depthwise weights, and of the pointwise weights.
define(
    "separable_backward(Tensor x, Tensor? mean, Tensor? inv_std, Tensor[] gz, Tensor[] depthwise, Tensor[] pointwise, "
    "int[] dilation, int stride, bool weights) -> Tensor[]",
    # `new_empty` instead of `empty_like`, because the kernel writes weights contiguously.
    lambda x, mean, inv_std, gz, depthwise, pointwise, dilation, stride, weights: [
        empty(x, *x.shape),
        *(w.new_empty(w.shape) for w in (*depthwise, *pointwise) if weights),
    ],
    lambda x, mean, inv_std, gz, depthwise, pointwise, *_: _sizes(x, depthwise, pointwise),
)


def _each(
    x: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    batch_statistics: bool,
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
) -> list[Tensor]:
    """On a CPU, one call after the other."""
    one = torch.ops.adarts.separable
    return [
        one(x[k], mean[k], inv_std[k], batch_statistics, [depthwise[k]], pointwise[k : k + 1], [dilation[k]], 1)[0]
        for k in range(len(x))
    ]


def _each_backward(
    gz: list[Tensor],
    x: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    batch_statistics: bool,
    depthwise: list[Tensor],
    pointwise: list[Tensor],
    dilation: list[int],
    weights: bool,
) -> list[Tensor]:
    back, through_norm = torch.ops.adarts.separable_backward, torch.ops.adarts.normalized_sum_backward
    g_maps, g_depthwise, g_pointwise = [], [], []
    for k in range(len(x)):
        convolution = [depthwise[k]], pointwise[k : k + 1], [dilation[k]]
        g, *g_weights = back(x[k], mean[k], inv_std[k], [gz[k]], *convolution, 1, weights)
        g_maps.append(through_norm(g, [x[k]], mean[k : k + 1], inv_std[k : k + 1], None, [batch_statistics])[0])
        g_depthwise += g_weights[:1]
        g_pointwise += g_weights[1:]
    return [*g_maps, *g_depthwise, *g_pointwise]


def _each_gradient(gz: Sequence[Tensor], x: list[Tensor], *others: Any) -> tuple[Any, ...]:
    found = torch.ops.adarts.separable_each_backward([channels_last(g) for g in gz], x, *others)
    count = len(x)
    g_depthwise = found[count : 2 * count] or None
    return found[:count], None, None, None, g_depthwise, found[2 * count :] or None, None


define(
    "separable_each(Tensor[] x, Tensor mean, Tensor inv_std, bool batch_statistics, Tensor[] depthwise, Tensor[] pointwise, "
    "int[] dilation) -> Tensor[]",
    lambda x, *_: [empty(m, *m.shape) for m in x],
    None,
    _save,
    _each_gradient,
    _each,
)
# Returns the gradients of all feature maps, of the depthwise weights, and of the pointwise weights.
define(
    "separable_each_backward(Tensor[] gz, Tensor[] x, Tensor mean, Tensor inv_std, bool batch_statistics, Tensor[] depthwise, "
    "Tensor[] pointwise, int[] dilation, bool weights) -> Tensor[]",
    lambda gz, x, mean, inv_std, batch_statistics, depthwise, pointwise, dilation, weights: [
        *(empty(m, *m.shape) for m in x),
        *(w.new_empty(w.shape) for w in (*depthwise, *pointwise) if weights),
    ],
    None,
    cpu=_each_backward,
)
