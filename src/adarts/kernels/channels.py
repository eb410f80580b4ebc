"""Partial connection (section III-C): select channels for the operations, and write their results back to the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import channels_last, define, empty, fused


class Contribution(NamedTuple):
    """The contribution of one mixed edge to its target node.

    Attributes:
        bypass_bchw: feature map of the source at the target's resolution.
        gate_bc: factor of each of its channels, (1 or B, C); 0 for the selected ones.
        mixed_bkhw: results of the operations on the selected channels, (B, C/k, H, W).
        index_sk: the selected channels, (1 or B, C/k).
    """

    bypass_bchw: Tensor
    gate_bc: Tensor
    mixed_bkhw: Tensor
    index_sk: Tensor


def select(x_bchw: Tensor, index_sek: Tensor, scale_bn: Tensor | None) -> Tensor:
    """Select and scale channels of all edges, and concatenate them.

    Args:
        x_bchw: feature map of the node.
        index_sek: selected channels of every edge, (1 or B, E, C/k).
        scale_bn: factor of every selected channel, (B, E·C/k); None does not scale.

    Returns:
        Feature map (B, E·C/k, H, W).
    """
    index_sn = index_sek.flatten(1)
    whole = scale_bn is None or scale_bn.shape == (len(x_bchw), index_sn.shape[1])
    if fused(x_bchw, scale_bn) and whole and _indices(index_sn, len(x_bchw)):
        scale_bn = x_bchw.new_ones(len(x_bchw), index_sn.shape[1]) if scale_bn is None else scale_bn
        selected: Tensor = torch.ops.adarts.select(channels_last(x_bchw), index_sn.contiguous(), scale_bn.contiguous())
        return selected
    # A small matrix product instead of indexing: indices stay on the device, shapes are static, and the backward pass is
    # deterministic.
    matrix_snc = F.one_hot(index_sn, x_bchw.shape[1]).to(x_bchw.dtype)
    picked = _product(x_bchw, matrix_snc)
    return picked if scale_bn is None else picked * scale_bn.to(picked.dtype)[:, :, None, None]


def write_back(contributions: Sequence[Contribution]) -> Tensor:
    """The feature map of a node, (B, C, H, W): the sum of the contributions of its edges."""
    x = contributions[0].bypass_bchw
    batch, channels = x.shape[:2]
    if _fits(contributions):
        node: Tensor = torch.ops.adarts.write_back(
            [channels_last(c.bypass_bchw) for c in contributions],
            [c.gate_bc.to(x.dtype).expand(batch, channels).contiguous() for c in contributions],
            [c.mixed_bkhw if pitch(c.mixed_bkhw) else channels_last(c.mixed_bkhw) for c in contributions],
            [c.index_sk.contiguous() for c in contributions],
        )
        return node
    # One product with the stacked selection matrices places and sums the results of all edges.
    index_sn = torch.cat([c.index_sk for c in contributions], 1)
    matrix_snc = F.one_hot(index_sn, channels).to(x.dtype)
    total = _product(torch.cat([c.mixed_bkhw for c in contributions], 1), matrix_snc.mT)
    for contribution in contributions:
        gate_bc11 = contribution.gate_bc.to(total.dtype)[:, :, None, None]
        total = torch.addcmul(total, contribution.bypass_bchw, gate_bc11)
    return total


def _indices(index_sk: Tensor, batch: int) -> bool:
    """Whether type and size of the indices are valid; the kernels check their values."""
    return index_sk.dtype is torch.int64 and len(index_sk) in (1, batch)


def _fits(contributions: Sequence[Contribution]) -> bool:
    """Whether the kernels accept the contributions of all edges. Gates are checked later, when they are expanded."""
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
    return fused(x, *tensors)


def _product(x_bchw: Tensor, matrix_soi: Tensor) -> Tensor:
    """Multiply the channel vector of every pixel by a matrix, per image or for all images, in channels last."""
    x_bhwc = x_bchw.permute(0, 2, 3, 1)
    if len(matrix_soi) == 1:
        return F.linear(x_bhwc, matrix_soi[0]).permute(0, 3, 1, 2)
    product = torch.bmm(x_bhwc.flatten(1, 2), matrix_soi.mT)
    result: Tensor = product.unflatten(1, x_bhwc.shape[1:3]).permute(0, 3, 1, 2)
    return result


def _select_backward(g: Tensor, *saved: Tensor) -> tuple[Any, ...]:
    gx, g_scale = torch.ops.adarts.select_backward(channels_last(g), *saved)
    return gx, None, g_scale


def pitch(mixed_bkhw: Tensor) -> int:
    """Distance of the pixels in memory if the feature map is a slice of a larger one in channels last; otherwise 0."""
    batch, channels, height, width = mixed_bkhw.shape
    image, _, row, column = mixed_bkhw.stride()
    # The stride of a side of one pixel may be any number.
    pitch = column if width > 1 else row if height > 1 else image if batch > 1 else channels
    expected = (height * width * pitch, 1, width * pitch, pitch)
    dense = all(size == 1 or s == e for size, s, e in zip(mixed_bkhw.shape, mixed_bkhw.stride(), expected, strict=True))
    return pitch if dense else 0


def _write_back_backward(g: Tensor, *saved: Any) -> tuple[Any, ...]:
    out = torch.ops.adarts.write_back_backward(channels_last(g), *saved)
    count = len(out) // 3
    return out[:count], out[count : 2 * count], out[2 * count :], None


def _sizes(x: Tensor, *others: int) -> list[int]:
    batch, channels, height, width = x.shape
    return [batch, height * width, channels, *others]


define(
    "select(Tensor x, Tensor index, Tensor scale) -> Tensor",
    lambda x, index, scale: empty(x, len(x), index.shape[1], *x.shape[2:]),
    lambda x, index, scale: _sizes(x, index.shape[1], len(index) > 1),
    lambda out, *arguments: arguments,
    _select_backward,
)
define(
    "select_backward(Tensor g, Tensor x, Tensor index, Tensor scale) -> (Tensor, Tensor)",
    lambda g, x, index, scale: (empty(x, *x.shape), scale.new_empty(scale.shape)),
    lambda g, x, index, scale: _sizes(x, index.shape[1], len(index) > 1),
)
define(
    "write_back(Tensor[] bypass, Tensor[] gate, Tensor[] mixed, Tensor[] index) -> Tensor",
    lambda bypass, *_: empty(bypass[0], *bypass[0].shape),
    lambda bypass, gate, mixed, index: [
        *_sizes(bypass[0], mixed[0].shape[1], len(bypass), len(index[0]) > 1),
        [pitch(m) for m in mixed],
    ],
    lambda out, bypass, gate, mixed, index: (bypass, gate, index, mixed[0].shape[1]),
    _write_back_backward,
)
define(
    "write_back_backward(Tensor g, Tensor[] bypass, Tensor[] gate, Tensor[] index, int selected) -> Tensor[]",
    lambda g, bypass, gate, index, selected: [
        *(empty(g, *g.shape) for _ in bypass),
        *(t.new_empty(t.shape) for t in gate),
        *(empty(g, len(g), selected, *g.shape[2:]) for _ in bypass),
    ],
    lambda g, bypass, gate, index, selected: _sizes(g, len(bypass), len(index[0]) > 1),
)
