"""Batch normalization of several feature maps and their weighted sum. All maps of one call have the same shape."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from adarts.kernels.gpu.tiles import CHUNKS, chunks, divided, pixels_of, power_of_2, sides


@triton.jit
def _moments(
    z, parts, pixels, n, chunk, NORMALIZED: tl.constexpr, TILE_PIXELS: tl.constexpr, TILE_CHANNELS: tl.constexpr
):
    """Mean and sum of squared deviations of a chunk, for every map: parts has shape (maps, 2, chunks, n).

    Deviations in a tile are around the tile's mean, and tiles are combined (Chan, Golub and LeVeque 1979), which avoids
    cancellation for large means.
    """
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    first = tl.program_id(0) * chunk
    last = tl.minimum(first + chunk, pixels)
    for k in tl.static_range(len(NORMALIZED)):
        if NORMALIZED[k]:
            mean = tl.zeros((TILE_CHANNELS,), parts.dtype.element_ty)
            squares = tl.zeros((TILE_CHANNELS,), parts.dtype.element_ty)
            for start in range(first, last, TILE_PIXELS):
                p = start + tl.arange(0, TILE_PIXELS)
                inside = (p < last)[:, None] & (c < n)[None, :]
                value = tl.load(z[k] + p[:, None] * n + c[None, :], inside, 0.0)
                here = tl.minimum(last - start, TILE_PIXELS).to(parts.dtype.element_ty)
                center = tl.sum(value, 0) / here
                deviation = tl.where(inside, value - center[None, :], 0.0)
                share = here / (start - first + here)
                delta = center - mean
                squares += tl.sum(deviation * deviation, 0) + delta * delta * ((start - first) * share)
                mean += delta * share
            part = parts + (2 * k * tl.num_programs(0) + tl.program_id(0)) * n + c
            tl.store(part, mean, c < n)
            tl.store(part + tl.num_programs(0) * n, squares, c < n)


@triton.jit
def _statistics(
    parts,
    running_mean,
    running_var,
    mean,
    inv_std,
    pixels,
    n,
    chunk,
    count,
    MOMENTUM: tl.constexpr,
    EPS: tl.constexpr,
    NORMALIZED: tl.constexpr,
    TRAINING: tl.constexpr,
    RUNNING: tl.constexpr,
    TILE_CHUNKS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    """Mean and 1/deviation of every map: of the batch, which update the running ones, or the running ones themselves."""
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    m = tl.arange(0, TILE_CHUNKS)
    for k in tl.static_range(len(NORMALIZED)):
        if tl.program_id(0) == k:
            center = tl.zeros((TILE_CHANNELS,), mean.dtype.element_ty)
            scale = center + 1
            if NORMALIZED[k]:
                if TRAINING:
                    inside = (m < count)[:, None] & (c < n)[None, :]
                    part = parts + (2 * k * count + m[:, None]) * n + c[None, :]
                    means = tl.load(part, inside, 0.0)
                    size = tl.minimum(pixels - m * chunk, chunk)[:, None]
                    center = tl.sum(means * size, 0) / pixels
                    delta = tl.where(inside, means - center[None, :], 0.0)
                    squares = tl.sum(tl.load(part + count * n, inside, 0.0) + delta * delta * size, 0)
                    variance = squares / pixels
                    if RUNNING:
                        old = tl.load(running_mean[k] + c, c < n, 0.0)
                        tl.store(running_mean[k] + c, old + MOMENTUM * (center - old), c < n)
                        old = tl.load(running_var[k] + c, c < n, 0.0)
                        unbiased = squares / tl.maximum(pixels - 1, 1)
                        tl.store(running_var[k] + c, old + MOMENTUM * (unbiased - old), c < n)
                else:
                    center = tl.load(running_mean[k] + c, c < n, 0.0)
                    variance = tl.load(running_var[k] + c, c < n, 1.0)
                scale = 1 / tl.sqrt(variance + EPS)
            tl.store(mean + k * n + c, center, c < n)
            tl.store(inv_std + k * n + c, scale, c < n)


@triton.jit
def _normalized_sum(
    z,
    mean,
    inv_std,
    gain,
    bias,
    out,
    pixels,
    n,
    COUNT: tl.constexpr,
    GAIN: tl.constexpr,
    BIAS: tl.constexpr,
    TILE_PIXELS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < pixels)[:, None] & (c < n)[None, :]
    place = p[:, None] * n + c[None, :]
    total = tl.zeros((TILE_PIXELS, TILE_CHANNELS), out.dtype.element_ty)
    if BIAS:
        total += tl.load(bias + c, c < n, 0.0)[None, :]
    for k in tl.static_range(COUNT):
        factor = tl.load(inv_std + k * n + c, c < n, 0.0)
        if GAIN:
            factor *= tl.load(gain + k * n + c, c < n, 0.0)
        center = tl.load(mean + k * n + c, c < n, 0.0)
        total += factor[None, :] * (tl.load(z[k] + place, inside, 0.0) - center[None, :])
    tl.store(out + place, total, inside)


@triton.jit
def _gradient_sums(
    g, z, mean, parts, pixels, n, chunk, COUNT: tl.constexpr, TILE_PIXELS: tl.constexpr, TILE_CHANNELS: tl.constexpr
):
    """Sums of g * (z[k] - mean[k]) over a chunk for every map, and of g: parts has shape (maps + 1, chunks, n)."""
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    first = tl.program_id(0) * chunk
    for k in tl.static_range(COUNT + 1):
        total = tl.zeros((TILE_CHANNELS,), parts.dtype.element_ty)
        for start in range(first, tl.minimum(first + chunk, pixels), TILE_PIXELS):
            p = start + tl.arange(0, TILE_PIXELS)
            inside = (p < pixels)[:, None] & (c < n)[None, :]
            gradient = tl.load(g + p[:, None] * n + c[None, :], inside, 0.0)
            if k < COUNT:
                center = tl.load(mean + k * n + c, c < n, 0.0)
                gradient *= tl.load(z[k] + p[:, None] * n + c[None, :], inside, 0.0) - center[None, :]
            total += tl.sum(gradient, 0)
        tl.store(parts + (k * tl.num_programs(0) + tl.program_id(0)) * n + c, total, c < n)


@triton.jit
def _sum_of_chunks(part, c, n, count, TILE_CHUNKS: tl.constexpr, TILE_CHANNELS: tl.constexpr):
    total = tl.zeros((TILE_CHANNELS,), part.dtype.element_ty)
    for start in range(0, count, TILE_CHUNKS):
        m = start + tl.arange(0, TILE_CHUNKS)
        inside = (m < count)[:, None] & (c < n)[None, :]
        total += tl.sum(tl.load(part + m[:, None] * n + c[None, :], inside, 0.0), 0)
    return total


@triton.jit
def _factors(
    parts,
    mean,
    inv_std,
    gain,
    factors,
    g_gain,
    g_bias,
    pixels,
    n,
    count,
    DEPENDS: tl.constexpr,
    GAIN: tl.constexpr,
    EACH: tl.constexpr,
    TILE_CHUNKS: tl.constexpr,
    TILE_CHANNELS: tl.constexpr,
):
    """Gradients of gains and bias, and the factors (3, maps, n) of g, z and 1 in the gradient of every map.

    With EACH, every map has a gradient of its own, and neither gain nor bias.
    """
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    maps = len(DEPENDS)
    for k in tl.static_range(len(DEPENDS)):
        if tl.program_id(0) == k:
            whole_part = parts + (maps + (k if EACH else 0)) * count * n
            whole = _sum_of_chunks(whole_part, c, n, count, TILE_CHUNKS, TILE_CHANNELS)
            centered = _sum_of_chunks(parts + k * count * n, c, n, count, TILE_CHUNKS, TILE_CHANNELS)
            s = tl.load(inv_std + k * n + c, c < n, 0.0)
            of_g = s
            if GAIN:
                of_g = s * tl.load(gain + k * n + c, c < n, 0.0)
            if not EACH:
                tl.store(g_gain + k * n + c, s * centered, c < n)
                if k == 0:
                    tl.store(g_bias + c, whole, c < n)
            tl.store(factors + k * n + c, of_g, c < n)
            if DEPENDS[k]:
                of_z = -of_g * s * s * centered / pixels
                constant = -of_g * whole / pixels - of_z * tl.load(mean + k * n + c, c < n, 0.0)
                tl.store(factors + (maps + k) * n + c, of_z, c < n)
                tl.store(factors + (2 * maps + k) * n + c, constant, c < n)


@triton.jit
def _gradients(
    g, z, factors, gz, pixels, n, DEPENDS: tl.constexpr, TILE_PIXELS: tl.constexpr, TILE_CHANNELS: tl.constexpr
):
    p = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    c = tl.program_id(1) * TILE_CHANNELS + tl.arange(0, TILE_CHANNELS)
    inside = (p < pixels)[:, None] & (c < n)[None, :]
    place = p[:, None] * n + c[None, :]
    maps = len(DEPENDS)
    for k in tl.static_range(len(DEPENDS)):
        gradient = tl.load(g[k] + place, inside, 0.0)
        result = gradient * tl.load(factors + k * n + c, c < n, 0.0)[None, :]
        if DEPENDS[k]:
            of_z = tl.load(factors + (maps + k) * n + c, c < n, 0.0)
            constant = tl.load(factors + (2 * maps + k) * n + c, c < n, 0.0)
            result += of_z[None, :] * tl.load(z[k] + place, inside, 0.0) + constant[None, :]
        tl.store(gz[k] + place, result, inside)


def statistics(
    z: list[Tensor],
    normalized: list[bool],
    running_mean: list[Tensor],
    running_var: list[Tensor],
    training: bool,
    momentum: float,
    eps: float,
    made: tuple[Tensor, Tensor],
) -> None:
    """Mean and 1/deviation of every map; in training two kernels, otherwise one."""
    mean, inv_std = made
    maps, n = mean.shape
    pixels, tile = pixels_of(z[0]), sides(n, 16)
    chunk, count = chunks(pixels, tile["TILE_PIXELS"])
    parts = mean.new_empty(maps, 2, count, n) if training else mean
    blocks, flags = divided(n, tile["TILE_CHANNELS"]), tuple(normalized)
    if training:
        _moments[(count, blocks)](tuple(z), parts, pixels, n, chunk, NORMALIZED=flags, **tile)
    # The lists have no entries for maps that are not normalized.
    places = [sum(normalized[:k]) if flag and running_mean else None for k, flag in enumerate(normalized)]
    _statistics[(maps, blocks)](
        parts,
        tuple(mean if place is None else running_mean[place] for place in places),
        tuple(mean if place is None else running_var[place] for place in places),
        mean,
        inv_std,
        pixels,
        n,
        chunk,
        count,
        MOMENTUM=momentum,
        EPS=eps,
        NORMALIZED=flags,
        TRAINING=training,
        RUNNING=bool(running_mean),
        TILE_CHUNKS=power_of_2(count),
        TILE_CHANNELS=tile["TILE_CHANNELS"],
    )


def normalized_sum(
    z: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    gain: Tensor | None,
    bias: Tensor | None,
    depends: list[bool],
    out: Tensor,
) -> None:
    """The weighted sum of the normalized maps."""
    pixels, n = pixels_of(out), out.shape[1]
    tile = sides(n)
    _normalized_sum[(divided(pixels, tile["TILE_PIXELS"]), divided(n, tile["TILE_CHANNELS"]))](
        tuple(z),
        mean,
        inv_std,
        mean if gain is None else gain,
        mean if bias is None else bias,
        out,
        pixels,
        n,
        COUNT=len(z),
        GAIN=gain is not None,
        BIAS=bias is not None,
        **tile,
    )


def normalized_sum_backward(
    g: Tensor,
    z: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    gain: Tensor | None,
    depends: list[bool],
    made: list[Tensor],
) -> None:
    """Gradients of all maps, then of gains and bias, in three kernels."""
    *gz, g_gain, g_bias = made
    pixels, n, maps = pixels_of(g), g.shape[1], len(z)
    tile = sides(n, 16)
    chunk, count = chunks(pixels, tile["TILE_PIXELS"])
    parts = g.new_empty(maps + 1, count, n)
    grid = count, divided(n, tile["TILE_CHANNELS"])
    _gradient_sums[grid](g, tuple(z), mean, parts, pixels, n, chunk, COUNT=maps, **tile)
    _apply([g] * maps, z, mean, inv_std, gain, depends, parts, gz, (g_gain, g_bias))


def through_normalizations(
    g: list[Tensor],
    z: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    depends: list[bool],
    parts: Tensor,
    gz: list[Tensor],
) -> None:
    """Gradients of maps that are normalized alone, in two kernels.

    Args:
        g: gradients of the normalized maps.
        z: the maps.
        mean, inv_std: their statistics (maps, n).
        depends: whether the statistics are those of the map itself.
        parts: sums of g * (z - mean) for all maps, then of g, over parts of the pixels; (2 * maps, parts, n).
        gz: the results.
    """
    _apply(g, z, mean, inv_std, None, depends, parts, gz, None)


def _apply(
    g: list[Tensor],
    z: list[Tensor],
    mean: Tensor,
    inv_std: Tensor,
    gain: Tensor | None,
    depends: list[bool],
    parts: Tensor,
    gz: list[Tensor],
    g_gain_bias: tuple[Tensor, Tensor] | None,
) -> None:
    pixels, n, maps, flags = pixels_of(z[0]), z[0].shape[1], len(z), tuple(depends)
    factors, count = mean.new_empty(3, maps, n), parts.shape[1]
    side = min(16, power_of_2(n))
    _factors[(maps, divided(n, side))](
        parts,
        mean,
        inv_std,
        mean if gain is None else gain,
        factors,
        *(g_gain_bias or (factors, factors)),
        pixels,
        n,
        count,
        DEPENDS=flags,
        GAIN=gain is not None,
        EACH=g_gain_bias is None,
        TILE_CHUNKS=min(CHUNKS, power_of_2(count)),
        TILE_CHANNELS=side,
    )
    tile = sides(n)
    _gradients[(divided(pixels, tile["TILE_PIXELS"]), divided(n, tile["TILE_CHANNELS"]))](
        tuple(g), tuple(z), factors, tuple(gz), pixels, n, DEPENDS=flags, **tile
    )
