"""Weighted sums of batch-normalized feature maps, as at the end of every mixed edge, and plain batch normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import channels_last, define, empty, fused, triton


@dataclass(frozen=True)
class Normalization:
    """How a feature map is normalized, per channel.

    Attributes:
        mean_n, var_n: running statistics in any shape, updated in training; None neither uses nor updates them.
        training: normalize with the statistics of the batch instead of the running ones.
        momentum: share of a new batch in the running statistics.
        eps: added to the variance.
    """

    mean_n: Tensor | None
    var_n: Tensor | None
    training: bool
    momentum: float = 0.1
    eps: float = 1e-5


def normalized_sum(
    maps: Sequence[tuple[Tensor, Tensor | None, Normalization | None]], bias_n: Tensor | None = None
) -> Tensor:
    """Sum of feature maps, each normalized and then scaled: sum over k of gain_k * norm_k(z_k), plus a bias.

    Args:
        maps: (feature map (B, n, H, W), gain (n,), normalization); None means gain 1, or no normalization.
        bias_n: added per channel.

    Returns:
        A feature map (B, n, H, W).
    """
    first, norms = maps[0][0], [norm for _, _, norm in maps]
    if _fits(maps, bias_n) and together(first, norms):
        tensors = [channels_last(z) for z, _, _ in maps]
        gain_kn = None
        if maps[0][1] is not None or len(maps) > 1 or not triton(first):  # the native kernels need gains
            gains = [z.new_ones(z.shape[1]) if gain is None else gain for z, gain, _ in maps]
            gain_kn = gains[0].contiguous()[None] if len(gains) == 1 else torch.stack(gains)
        bias_n = None if bias_n is None else bias_n.contiguous()
        depends = [norm is not None and norm.training for norm in norms]
        result: Tensor = torch.ops.adarts.normalized_sum(tensors, *statistics(tensors, norms), gain_kn, bias_n, depends)
        return result
    total: Tensor | None = None
    for z, gain_n, norm in maps:
        bias, bias_n = bias_n, None  # added with the first map
        if norm is None:
            y = z if gain_n is None else z * gain_n.to(z.dtype)[:, None, None]
            y = y if bias is None else y + bias.to(y.dtype)[:, None, None]
        else:
            # torch 2.14's CPU backward misreads a non-contiguous weight if the input is channels last.
            weight = None if gain_n is None else gain_n.contiguous()
            mean, var = (None if t is None else t.view(-1) for t in (norm.mean_n, norm.var_n))
            y = F.batch_norm(z, mean, var, weight, bias, norm.training, norm.momentum, norm.eps)
        total = y if total is None else total + y
    assert total is not None
    return total


def _fits(maps: Sequence[tuple[Tensor, Tensor | None, Normalization | None]], bias_n: Tensor | None) -> bool:
    """Whether the kernels accept maps, gains and bias."""
    first = maps[0][0]
    shape, n = first.shape, first.shape[1]
    tensors = [bias_n]
    for z, gain, _ in maps:
        tensors += (z, gain)
        if z.shape != shape or (gain is not None and gain.numel() != n):
            return False
    return (bias_n is None or bias_n.numel() == n) and fused(first, *tensors)


def together(z_bnhw: Tensor, norms: Sequence[Normalization | None]) -> bool:
    """Whether one call can compute these normalizations, i.e. they differ only in their running statistics."""
    dtype, n, first = z_bnhw.dtype, z_bnhw.shape[1], None
    for norm in norms:
        if norm is None:
            continue
        if first is None:
            first = norm
            if norm.training and z_bnhw.numel() <= n:
                return False  # one value per channel has no variance
        elif (
            norm.training != first.training
            or norm.momentum != first.momentum
            or norm.eps != first.eps
            or (norm.mean_n is None) != (first.mean_n is None)
        ):
            return False
        mean, var = norm.mean_n, norm.var_n
        if mean is None or var is None:
            if not norm.training or mean is not var:
                return False
        elif not (
            mean.dtype is var.dtype is dtype
            and mean.numel() == var.numel() == n
            and mean.is_contiguous()
            and var.is_contiguous()
        ):
            return False
    return True


def statistics(maps: Sequence[Tensor], norms: Sequence[Normalization | None]) -> tuple[Tensor, Tensor]:
    """Mean and 1/deviation (k, n) for the normalizations; updates the running statistics; without gradients.

    :func:`together` must have returned True.
    """
    normalized = [norm for norm in norms if norm is not None]
    first = normalized[0] if normalized else Normalization(None, None, True)
    with torch._C._AutoDispatchBelowAutograd():
        mean_kn, inv_std_kn = torch.ops.adarts.statistics(
            list(maps),
            [norm is not None for norm in norms],
            [norm.mean_n for norm in normalized if norm.mean_n is not None],
            [norm.var_n for norm in normalized if norm.var_n is not None],
            first.training,
            first.momentum,
            first.eps,
        )
    return mean_kn, inv_std_kn


def _sizes(x: Tensor, *others: int) -> list[int]:
    return [x.numel() // x.shape[1], x.shape[1], *others]


def _backward(
    g: Tensor, z: list[Tensor], mean: Tensor, inv_std: Tensor, gain: Tensor | None, depends: list[bool], has_bias: bool
) -> tuple[Any, ...]:
    *gz, g_gain, g_bias = torch.ops.adarts.normalized_sum_backward(channels_last(g), z, mean, inv_std, gain, depends)
    return gz, None, None, None if gain is None else g_gain, g_bias if has_bias else None, None


define(
    "statistics(Tensor[] z, bool[] normalized, Tensor(a!)[] running_mean, Tensor(b!)[] running_var, bool training, "
    "float momentum, float eps) -> (Tensor, Tensor)",
    lambda z, *_: (z[0].new_empty(len(z), z[0].shape[1]), z[0].new_empty(len(z), z[0].shape[1])),
    lambda z, normalized, running_mean, *_: _sizes(z[0], len(z), len(running_mean)),
)
define(
    "normalized_sum(Tensor[] z, Tensor mean, Tensor inv_std, Tensor? gain, Tensor? bias, bool[] batch_statistics) -> Tensor",
    lambda z, *_: empty(z[0], *z[0].shape),
    lambda z, *_: _sizes(z[0], len(z)),
    lambda out, z, mean, inv_std, gain, bias, depends: (z, mean, inv_std, gain, depends, bias is not None),
    _backward,
)
define(
    "normalized_sum_backward(Tensor g, Tensor[] z, Tensor mean, Tensor inv_std, Tensor? gain, bool[] batch_statistics) "
    "-> Tensor[]",
    lambda g, z, mean, *_: [*(empty(g, *g.shape) for _ in z), mean.new_empty(mean.shape), g.new_empty(g.shape[1])],
    lambda g, z, *_: _sizes(g, len(z)),
)
