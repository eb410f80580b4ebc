"""Channel attention, the channels it selects, and the factors it gives to channels: small tensors of many images and edges."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.gpu.tiles import divided, power_of_2

IMAGES = 16
"""Images of a tile."""


@triton.jit
def _attention(mean, largest, reduce, expand, out, batch, C, H, TILE_B: tl.constexpr, TILE_C: tl.constexpr):
    e = tl.program_id(1)
    b = tl.program_id(0) * TILE_B + tl.arange(0, TILE_B)
    c = tl.arange(0, TILE_C)
    inside = (b < batch)[:, None] & (c < C)[None, :]
    place = b[:, None] * C + c[None, :]
    first = tl.load(mean + place, inside, 0.0)
    second = tl.load(largest + place, inside, 0.0)
    score = tl.zeros((TILE_B, TILE_C), out.dtype.element_ty)
    for h in range(H):
        weight = tl.load(reduce + (e * H + h) * C + c, c < C, 0.0)[None, :]
        one, two = tl.sum(first * weight, 1), tl.sum(second * weight, 1)
        hidden = tl.where(one <= 0, 0.0, one) + tl.where(two <= 0, 0.0, two)
        score += hidden[:, None] * tl.load(expand + (e * C + c) * H + h, c < C, 0.0)[None, :]
    tl.store(out + e * batch * C + place, 1 / (1 + tl.exp(-score)), inside)


@triton.jit
def _attention_backward(
    g,
    mean,
    largest,
    reduce,
    expand,
    attention,
    g_pooled,
    parts,
    batch,
    C,
    H,
    total,
    WEIGHTS: tl.constexpr,
    TILE_B: tl.constexpr,
    TILE_C: tl.constexpr,
):
    """Gradients of mean and maximum for every edge (2, E, B, C), and sums over the images of a tile for both weights."""
    e = tl.program_id(1)
    b = tl.program_id(0) * TILE_B + tl.arange(0, TILE_B)
    c = tl.arange(0, TILE_C)
    inside = (b < batch)[:, None] & (c < C)[None, :]
    place = b[:, None] * C + c[None, :]
    first = tl.load(mean + place, inside, 0.0)
    second = tl.load(largest + place, inside, 0.0)
    score = tl.load(attention + e * batch * C + place, inside, 0.0)
    gradient = tl.load(g + e * batch * C + place, inside, 0.0) * score * (1 - score)
    g_first = tl.zeros((TILE_B, TILE_C), g.dtype.element_ty)
    g_second = tl.zeros((TILE_B, TILE_C), g.dtype.element_ty)
    part = parts + tl.program_id(0) * total
    for h in range(H):
        weight = tl.load(reduce + (e * H + h) * C + c, c < C, 0.0)[None, :]
        one, two = tl.sum(first * weight, 1), tl.sum(second * weight, 1)
        g_hidden = tl.sum(gradient * tl.load(expand + (e * C + c) * H + h, c < C, 0.0)[None, :], 1)
        g_one, g_two = tl.where(one <= 0, 0.0, g_hidden), tl.where(two <= 0, 0.0, g_hidden)
        g_first += g_one[:, None] * weight
        g_second += g_two[:, None] * weight
        if WEIGHTS:
            hidden = tl.where(one <= 0, 0.0, one) + tl.where(two <= 0, 0.0, two)
            of_reduce = tl.sum(g_one[:, None] * first + g_two[:, None] * second, 0)
            tl.store(part + (e * H + h) * C + c, of_reduce, c < C)
            of_expand = tl.sum(gradient * hidden[:, None], 0)
            tl.store(part + total // 2 + (e * C + c) * H + h, of_expand, c < C)
    tl.store(g_pooled + e * batch * C + place, g_first, inside)
    tl.store(g_pooled + (tl.num_programs(1) + e) * batch * C + place, g_second, inside)


@triton.jit
def _strongest(score, out, batch, C, count, PER_IMAGE: tl.constexpr, TILE_B: tl.constexpr, TILE_C: tl.constexpr):
    """The rank of a channel is the number of higher scores; of equal ones, the first is higher. NaN is the highest."""
    s, e = tl.program_id(0), tl.program_id(1)
    c = tl.arange(0, TILE_C)
    if PER_IMAGE:
        own = tl.load(score + (e * batch + s) * C + c, c < C, 0.0)
    else:
        own = tl.zeros((TILE_C,), score.dtype.element_ty)
        for start in range(0, batch, TILE_B):
            b = start + tl.arange(0, TILE_B)
            inside = (b < batch)[:, None] & (c < C)[None, :]
            own += tl.sum(tl.load(score + (e * batch + b)[:, None] * C + c[None, :], inside, 0.0), 0)
    own = tl.where(own != own, float("inf"), own)
    own = tl.where(c < C, own, float("-inf"))
    other = own[None, :]
    higher = (other > own[:, None]) | ((other == own[:, None]) & (c[None, :] < c[:, None]))
    chosen = (tl.sum(higher.to(tl.int32), 1) < count) & (c < C)
    slot = tl.cumsum(chosen.to(tl.int32), 0) - 1
    tl.store(out + (s * tl.num_programs(1) + e) * count + slot, c.to(tl.int64), chosen & (slot < count))


@triton.jit
def _factors(
    attention,
    index,
    scale,
    gates,
    batch,
    C,
    count,
    PER_IMAGE: tl.constexpr,
    BACKWARD: tl.constexpr,
    TILE_B: tl.constexpr,
    TILE_C: tl.constexpr,
):
    """Forward: scale and gates from the attention. Backward: its gradient from those of scale and gates."""
    edges = len(gates)
    b = tl.program_id(0) * TILE_B + tl.arange(0, TILE_B)
    c = tl.arange(0, TILE_C)
    inside = (b < batch)[:, None] & (c < C)[None, :]
    place = b[:, None] * C + c[None, :]
    for e in tl.static_range(len(gates)):
        if tl.program_id(1) == e:
            value = tl.load((gates[e] if BACKWARD else attention + e * batch * C) + place, inside, 0.0)
            others = value
            for j in range(count):
                chosen = tl.load(index + (b * edges * PER_IMAGE + e) * count + j, b < batch, 0)[:, None] == c[None, :]
                slot = scale + (b * edges + e) * count + j
                if BACKWARD:
                    others = tl.where(chosen, tl.load(slot, b < batch, 0.0)[:, None], others)
                else:
                    tl.store(slot, tl.sum(tl.where(chosen, value, 0.0), 1), b < batch)
                    others = tl.where(chosen, 0.0, others)
            tl.store((attention + e * batch * C if BACKWARD else gates[e]) + place, others, inside)


def attention(mean: Tensor, largest: Tensor, reduce: Tensor, expand: Tensor, out: Tensor) -> None:
    """Attention of every edge."""
    edges, batch, channels = out.shape
    tile = power_of_2(channels)
    _attention[(divided(batch, IMAGES), edges)](
        mean, largest, reduce, expand, out, batch, channels, reduce.shape[1], IMAGES, tile
    )


def attention_backward(
    g: Tensor,
    mean: Tensor,
    largest: Tensor,
    reduce: Tensor,
    expand: Tensor,
    attention: Tensor,
    weights: bool,
    made: tuple[Tensor, Tensor],
) -> None:
    """Gradients of mean and maximum, and with `weights` of both weights; a kernel, and a sum for each."""
    edges, batch, channels = g.shape
    tiles = divided(batch, IMAGES)
    g_pooled, parts = g.new_empty(2, edges, batch, channels), g.new_empty(tiles, len(made[1]))
    _attention_backward[(tiles, edges)](
        g,
        mean,
        largest,
        reduce,
        expand,
        attention,
        g_pooled,
        parts,
        batch,
        channels,
        reduce.shape[1],
        len(made[1]),
        weights,
        IMAGES,
        power_of_2(channels),
    )
    torch.sum(g_pooled, 1, out=made[0])
    if weights:
        torch.sum(parts, 0, out=made[1])


def strongest(score: Tensor, count: int, per_image: bool, out: Tensor) -> None:
    """The channels with the highest scores, ascending."""
    _, batch, channels = score.shape
    _strongest[out.shape[:2]](score, out, batch, channels, count, per_image, IMAGES, power_of_2(channels))


def factors(attention: Tensor, index: Tensor, made: list[Tensor]) -> None:
    """Factors of selected channels, and for every edge of all channels."""
    _call_factors(attention, index, made[0], made[1:], backward=False)


def factors_backward(g_scale: Tensor, g_gates: list[Tensor], index: Tensor, out: Tensor) -> None:
    """Gradient of the attention."""
    _call_factors(out, index, g_scale, g_gates, backward=True)


def _call_factors(attention: Tensor, index: Tensor, scale: Tensor, gates: list[Tensor], *, backward: bool) -> None:
    edges, batch, channels = attention.shape
    _factors[(divided(batch, IMAGES), edges)](
        attention,
        index,
        scale,
        tuple(gates),
        batch,
        channels,
        index.shape[2],
        len(index) > 1,
        backward,
        IMAGES,
        power_of_2(channels),
    )
