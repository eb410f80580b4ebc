"""Weighted sums of batch-normalized feature maps: what closes every mixed edge, and plain batch normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import call, channels_last, define, empty, native


@dataclass(frozen=True)
class Normalization:
    """How a feature map is normalized, per channel.

    Attributes:
        mean_n, var_n: running statistics; in training they follow the batch, or stay as they are when None.
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
        maps: (feature map (B, n, H, W), gain (n,), normalization); without a gain it is 1, without a normalization the map
            is only scaled.
        bias_n: added per channel.

    Returns:
        A feature map (B, n, H, W).
    """
    first, norms = maps[0][0], [norm for _, _, norm in maps]
    if _fits(maps, bias_n) and together(first, norms):
        tensors = [channels_last(z) for z, _, _ in maps]
        gain_kn = torch.stack([z.new_ones(z.shape[1]) if gain is None else gain for z, gain, _ in maps])
        bias_n = None if bias_n is None else bias_n.contiguous()
        depends = [norm is not None and norm.training for norm in norms]
        result: Tensor = torch.ops.adarts.normalized_sum(tensors, *statistics(tensors, norms), gain_kn, bias_n, depends)
        return result
    total: Tensor | None = None
    for z, gain_n, norm in maps:
        bias, bias_n = bias_n, None  # goes with the first map
        if norm is None:
            y = z if gain_n is None else z * gain_n.to(z.dtype)[:, None, None]
            y = y if bias is None else y + bias[:, None, None]
        else:
            # torch 2.14's CPU backward misreads a weight that is not contiguous when the input is channels last.
            weight = None if gain_n is None else gain_n.contiguous()
            y = F.batch_norm(z, norm.mean_n, norm.var_n, weight, bias, norm.training, norm.momentum, norm.eps)
        total = y if total is None else total + y
    assert total is not None
    return total


def _fits(maps: Sequence[tuple[Tensor, Tensor | None, Normalization | None]], bias_n: Tensor | None) -> bool:
    """Whether maps, gains and bias are what the kernels take."""
    first = maps[0][0]
    shape, n = first.shape, first.shape[1]
    tensors = [bias_n]
    for z, gain, _ in maps:
        tensors += (z, gain)
        if z.shape != shape or (gain is not None and gain.numel() != n):
            return False
    return (bias_n is None or bias_n.numel() == n) and native(first, *tensors)


def together(z_bnhw: Tensor, norms: Sequence[Normalization | None]) -> bool:
    """Whether one call takes these normalizations of maps like this one: they differ in their running statistics only."""
    dtype, n, first = z_bnhw.dtype, z_bnhw.shape[1], None
    for norm in norms:
        if norm is None:
            continue
        if first is None:
            first = norm
            if norm.training and z_bnhw.numel() <= n:
                return False  # one value a channel has no variance
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
    """Mean and 1/deviation (k, n) to normalize with; the running statistics follow. No gradient passes.

    The caller has asked :func:`together`.
    """
    normalized = [norm for norm in norms if norm is not None]
    first = normalized[0] if normalized else Normalization(None, None, True)
    mean_kn, inv_std_kn = torch.ops.adarts.statistics(
        [z.detach() for z in maps],
        [norm is not None for norm in norms],
        [norm.mean_n for norm in normalized if norm.mean_n is not None],
        [norm.var_n for norm in normalized if norm.var_n is not None],
        first.training,
        first.momentum,
        first.eps,
    )
    return mean_kn, inv_std_kn


def _statistics(
    z: list[Tensor],
    normalized: list[bool],
    running_mean: list[Tensor],
    running_var: list[Tensor],
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor]:
    mean, inv_std = _fake_statistics(z)
    n = z[0].shape[1]
    running: list[list[Tensor | None]] = [[None] * len(z), [None] * len(z)]
    if running_mean:
        for side, given in zip(running, (running_mean, running_var), strict=True):
            rest = iter(given)
            side[:] = [next(rest) if is_one else None for is_one in normalized]
    maps = [t if is_one else None for t, is_one in zip(z, normalized, strict=True)]
    sizes = (z[0].numel() // n, n, len(z), int(training))
    call("statistics", z[0].dtype, *sizes, maps, *running, momentum, eps, mean, inv_std)
    return mean, inv_std


def _fake_statistics(z: list[Tensor], *_: Any) -> tuple[Tensor, Tensor]:
    shape = (len(z), z[0].shape[1])
    return z[0].new_empty(shape), z[0].new_empty(shape)


def _sum(
    z: list[Tensor], mean: Tensor, inv_std: Tensor, gain: Tensor, bias: Tensor | None, batch_statistics: list[bool]
) -> Tensor:
    out = empty(z[0], *z[0].shape)
    n = out.shape[1]
    call("normalized_sum", out.dtype, out.numel() // n, n, len(z), z, mean, inv_std, gain, bias, out)
    return out


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    z, mean, inv_std, gain, bias, ctx.batch_statistics = inputs
    ctx.bias = bias is not None
    ctx.save_for_backward(mean, inv_std, gain, *z)


def _backward(ctx: Any, saved: Sequence[Tensor], g: Tensor) -> tuple[Any, ...]:
    mean, inv_std, gain, *z = saved
    *gz, g_gain, g_bias = torch.ops.adarts.normalized_sum_backward(
        channels_last(g), z, mean, inv_std, gain, ctx.batch_statistics
    )
    return gz, None, None, g_gain, g_bias if ctx.bias else None, None


def _sum_backward(
    g: Tensor, z: list[Tensor], mean: Tensor, inv_std: Tensor, gain: Tensor | None, batch_statistics: list[bool]
) -> list[Tensor]:
    """Gradients of the maps, of the gains (k, n), and of the bias (n,)."""
    out = _fake_sum_backward(g, z, mean)
    n, depends = g.shape[1], [int(b) for b in batch_statistics]
    sizes = (g.numel() // n, n, len(z))
    call("normalized_sum_backward", g.dtype, *sizes, g, z, mean, inv_std, gain, depends, out[:-2], out[-2], out[-1])
    return out


def _fake_sum_backward(g: Tensor, z: list[Tensor], mean: Tensor, *_: Any) -> list[Tensor]:
    return [*(empty(g, *g.shape) for _ in z), mean.new_empty(mean.shape), g.new_empty(g.shape[1])]


define(
    "statistics(Tensor[] z, bool[] normalized, Tensor(a!)[] running_mean, Tensor(b!)[] running_var, bool training, "
    "float momentum, float eps) -> (Tensor, Tensor)",
    _statistics,
    _fake_statistics,
)
define(
    "normalized_sum(Tensor[] z, Tensor mean, Tensor inv_std, Tensor gain, Tensor? bias, bool[] batch_statistics) -> Tensor",
    _sum,
    lambda z, *_: empty(z[0], *z[0].shape),
    (_remember, _backward),
)
define(
    "normalized_sum_backward(Tensor g, Tensor[] z, Tensor mean, Tensor inv_std, Tensor? gain, bool[] batch_statistics) "
    "-> Tensor[]",
    _sum_backward,
    _fake_sum_backward,
)
