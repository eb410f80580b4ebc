"""Partial connection (section III-C): selected channels to the operations, their results back, the others around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import call, channels_last, define, empty, native


class Contribution(NamedTuple):
    """What one mixed edge adds to its target node.

    Attributes:
        bypass_bchw: feature map of the source at the target's resolution.
        gate_bc: scale of each of its channels, (1 or B, C); 0 for the selected ones.
        mixed_bkhw: results of the operations on the selected channels, (B, C/k, H, W).
        index_sk: the selected channels, (1 or B, C/k).
    """

    bypass_bchw: Tensor
    gate_bc: Tensor
    mixed_bkhw: Tensor
    index_sk: Tensor


def select(x_bchw: Tensor, index_sek: Tensor, scale_bn: Tensor | None) -> Tensor:
    """The selected channels of all edges side by side, scaled.

    Args:
        x_bchw: feature map of the node.
        index_sek: selected channels of every edge, (1 or B, E, C/k).
        scale_bn: scale of every selected channel, (B, E·C/k); None does not scale.

    Returns:
        Feature map (B, E·C/k, H, W).
    """
    index_sn = index_sek.flatten(1)
    whole = scale_bn is None or scale_bn.shape == (len(x_bchw), index_sn.shape[1])
    if native(x_bchw, scale_bn) and whole and _indices(index_sn, len(x_bchw)):
        scale_bn = x_bchw.new_ones(len(x_bchw), index_sn.shape[1]) if scale_bn is None else scale_bn
        selected: Tensor = torch.ops.adarts.select(channels_last(x_bchw), index_sn.contiguous(), scale_bn.contiguous())
        return selected
    # A small matrix product instead of indexing: no index leaves the device, shapes are static, and the backward pass is
    # deterministic.
    matrix_snc = F.one_hot(index_sn, x_bchw.shape[1]).to(x_bchw.dtype)
    picked = _product(x_bchw, matrix_snc)
    return picked if scale_bn is None else picked * scale_bn.to(picked.dtype)[:, :, None, None]


def write_back(contributions: Sequence[Contribution]) -> Tensor:
    """A node: the sum of what its edges contribute, (B, C, H, W)."""
    x = contributions[0].bypass_bchw
    batch, channels = x.shape[:2]
    if _fits(contributions):
        node: Tensor = torch.ops.adarts.write_back(
            [channels_last(c.bypass_bchw) for c in contributions],
            [c.gate_bc.to(x.dtype).expand(batch, channels).contiguous() for c in contributions],
            [c.mixed_bkhw for c in contributions],
            [c.index_sk.contiguous() for c in contributions],
        )
        return node
    # The results of all edges are placed and summed by one product with their stacked selection matrices.
    index_sn = torch.cat([c.index_sk for c in contributions], 1)
    matrix_snc = F.one_hot(index_sn, channels).to(x.dtype)
    total = _product(torch.cat([c.mixed_bkhw for c in contributions], 1), matrix_snc.mT)
    for contribution in contributions:
        gate_bc11 = contribution.gate_bc.to(total.dtype)[:, :, None, None]
        total = torch.addcmul(total, contribution.bypass_bchw, gate_bc11)
    return total


def _indices(index_sk: Tensor, batch: int) -> bool:
    """Whether these are the indices of a batch or of each image; the kernels look at the numbers themselves."""
    return index_sk.dtype is torch.int64 and len(index_sk) in (1, batch)


def _fits(contributions: Sequence[Contribution]) -> bool:
    """Whether the contributions of all edges are what the kernels take. That the gates are, shows when they are expanded."""
    x, _, mixed, index = contributions[0]
    shape, shape_mixed, shape_index = x.shape, mixed.shape, index.shape
    if not _indices(index, shape[0]) or shape_mixed != (shape[0], shape_index[1], *shape[2:]):
        return False
    tensors: list[Tensor] = []
    for bypass, _, mixed, index in contributions:
        tensors += (bypass, mixed)
        if (
            bypass.shape != shape
            or mixed.shape != shape_mixed
            or index.shape != shape_index
            or index.dtype is not torch.int64
        ):
            return False
    return native(x, *tensors)


def _product(x_bchw: Tensor, matrix_soi: Tensor) -> Tensor:
    """Multiply the channel vector of every pixel by the image's matrix, or by the one for all, without leaving channels last."""
    x_bhwc = x_bchw.permute(0, 2, 3, 1)
    if len(matrix_soi) == 1:
        return F.linear(x_bhwc, matrix_soi[0]).permute(0, 3, 1, 2)
    product = torch.bmm(x_bhwc.flatten(1, 2), matrix_soi.mT)
    result: Tensor = product.unflatten(1, x_bhwc.shape[1:3]).permute(0, 3, 1, 2)
    return result


def _select(x: Tensor, index: Tensor, scale: Tensor) -> Tensor:
    out = _fake_select(x, index, scale)
    batch, channels, height, width = x.shape
    call("select", x.dtype, batch, height * width, channels, out.shape[1], int(len(index) > 1), x, index, scale, out)
    return out


def _fake_select(x: Tensor, index: Tensor, scale: Tensor) -> Tensor:
    return empty(x, len(x), index.shape[1], *x.shape[2:])


def _remember_select(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward_select(ctx: Any, saved: Sequence[Tensor], g: Tensor) -> tuple[Any, ...]:
    gx, g_scale = torch.ops.adarts.select_backward(channels_last(g), *saved)
    return gx, None, g_scale


def _select_backward(g: Tensor, x: Tensor, index: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    gx, g_scale = _fake_select_backward(g, x, index, scale)
    batch, channels, height, width = x.shape
    sizes = (batch, height * width, channels, g.shape[1], int(len(index) > 1))
    call("select_backward", x.dtype, *sizes, g, x, index, scale, gx, g_scale)
    return gx, g_scale


def _fake_select_backward(g: Tensor, x: Tensor, index: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return empty(x, *x.shape), scale.new_empty(scale.shape)


def _pitch(mixed_bkhw: Tensor) -> int:
    """How far apart the pixels lie: the edges' results are slices of one feature map."""
    _, channels, height, width = mixed_bkhw.shape
    pitch = mixed_bkhw.stride(3) if width > 1 else channels
    expected = (height * width * pitch, 1, width * pitch, pitch)
    dense = all(size == 1 or s == e for size, s, e in zip(mixed_bkhw.shape, mixed_bkhw.stride(), expected, strict=True))
    return pitch if dense else 0


def _write_back(bypass: list[Tensor], gate: list[Tensor], mixed: list[Tensor], index: list[Tensor]) -> Tensor:
    out = empty(bypass[0], *bypass[0].shape)
    batch, channels, height, width = out.shape
    mixed = [m if _pitch(m) else channels_last(m) for m in mixed]
    sizes = (batch, height * width, channels, mixed[0].shape[1], len(bypass), int(len(index[0]) > 1))
    call("write_back", out.dtype, *sizes, [_pitch(m) for m in mixed], bypass, gate, mixed, index, out)
    return out


def _remember_write_back(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    bypass, gate, mixed, index = inputs
    ctx.count, ctx.selected = len(bypass), mixed[0].shape[1]
    ctx.save_for_backward(*bypass, *gate, *index)


def _backward_write_back(ctx: Any, saved: Sequence[Tensor], g: Tensor) -> tuple[Any, ...]:
    count = ctx.count
    parts = saved[:count], saved[count : 2 * count], saved[2 * count :]
    out = torch.ops.adarts.write_back_backward(channels_last(g), *parts, ctx.selected)
    return out[:count], out[count : 2 * count], out[2 * count :], None


def _write_back_backward(
    g: Tensor, bypass: list[Tensor], gate: list[Tensor], index: list[Tensor], selected: int
) -> list[Tensor]:
    """Gradients of the bypasses, of the gates, and of the operations' results."""
    out = _fake_write_back_backward(g, bypass, gate, index, selected)
    count, (batch, channels, height, width) = len(bypass), g.shape
    sizes = (batch, height * width, channels, selected, count, int(len(index[0]) > 1))
    parts = out[:count], out[count : 2 * count], out[2 * count :]
    call("write_back_backward", g.dtype, *sizes, g, bypass, gate, index, *parts)
    return out


def _fake_write_back_backward(
    g: Tensor, bypass: list[Tensor], gate: list[Tensor], index: list[Tensor], selected: int
) -> list[Tensor]:
    maps = [empty(g, *g.shape) for _ in bypass]
    gates = [t.new_empty(t.shape) for t in gate]
    return [*maps, *gates, *(empty(g, len(g), selected, *g.shape[2:]) for _ in bypass)]


define(
    "select(Tensor x, Tensor index, Tensor scale) -> Tensor",
    _select,
    _fake_select,
    (_remember_select, _backward_select),
)
define(
    "select_backward(Tensor g, Tensor x, Tensor index, Tensor scale) -> (Tensor, Tensor)",
    _select_backward,
    _fake_select_backward,
)
define(
    "write_back(Tensor[] bypass, Tensor[] gate, Tensor[] mixed, Tensor[] index) -> Tensor",
    _write_back,
    lambda bypass, *_: empty(bypass[0], *bypass[0].shape),
    (_remember_write_back, _backward_write_back),
)
define(
    "write_back_backward(Tensor g, Tensor[] bypass, Tensor[] gate, Tensor[] index, int selected) -> Tensor[]",
    _write_back_backward,
    _fake_write_back_backward,
)
