"""1x1 convolutions as products, with the ReLU before them, as in the preprocessing of every cell."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import channels_last, define, empty, native


def channel_product(x_bchw: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the channel vector of every pixel by ``matrix`` (out, in): a 1x1 convolution without copies in channels last."""
    return F.linear(x_bchw.permute(0, 2, 3, 1), matrix).permute(0, 3, 1, 2)


def relu_product(x_bchw: Tensor, matrix_oi: Tensor) -> Tensor:
    """The 1x1 convolution of ReLU(x) with ``matrix`` (out, in): (B, out, H, W)."""
    if native(x_bchw, matrix_oi) and matrix_oi.shape[1:] == x_bchw.shape[1:2]:
        product: Tensor = torch.ops.adarts.relu_product(channels_last(x_bchw), matrix_oi.contiguous())
        return product
    return channel_product(F.relu(x_bchw), matrix_oi)


def grouped_product(x_bnhw: Tensor, matrix_goi: Tensor) -> Tensor:
    """A 1x1 convolution of every group of channels, as one product with a block-diagonal matrix; faster than many small ones."""
    # Same result as torch.block_diag, which copies block by block and launches one GPU kernel for each.
    blocks_gogi = torch.diag_embed(matrix_goi.permute(1, 2, 0), dim1=0, dim2=2)
    return channel_product(x_bnhw, blocks_gogi.flatten(2).flatten(0, 1))


def relu_halved(x_bchw: Tensor, even_goi: Tensor, odd_goi: Tensor) -> Tensor:
    """ReLU and two 1x1 convolutions of stride 2, on the pixels (0, 0) and (1, 1) of every 2x2 block, side by side.

    Args:
        x_bchw: feature map, whose channels are ``groups`` equal groups. The last block of an odd side has no second pixel; 0 is
            used.
        even_goi, odd_goi: weights of every group (groups, outputs, inputs), and the 1x1 of a kernel or not.

    Returns:
        Feature map (B, n, ceil(H / 2), ceil(W / 2)); the channels of a group are the outputs of both convolutions.
    """
    groups, _, inputs = even_goi.shape[:3]
    fits = groups * inputs == x_bchw.shape[1] and all(
        len(w) == groups and w.numel() == groups * w.shape[1] * inputs for w in (even_goi, odd_goi)
    )
    if fits and native(x_bchw, even_goi, odd_goi):
        halved: Tensor = torch.ops.adarts.relu_halved(
            channels_last(x_bchw), even_goi.contiguous(), odd_goi.contiguous()
        )
        return halved
    x_bchw = F.relu(x_bchw)
    height, width = x_bchw.shape[2:]
    if groups == 1:
        if inputs < 16:
            # With the channels last, the backward pass of such convolutions in torch 2.14 writes beyond its memory on a CPU.
            x_bchw = x_bchw.contiguous()
        even, odd = (w.reshape(-1, inputs, 1, 1) for w in (even_goi, odd_goi))
        shifted_bchw = F.pad(x_bchw, (-1, width % 2, -1, height % 2))
        return torch.cat([F.conv2d(x_bchw, even, stride=2), F.conv2d(shifted_bchw, odd, stride=2)], 1)
    if height % 2 or width % 2:
        x_bchw = F.pad(x_bchw, (0, width % 2, 0, height % 2))
    halves = x_bchw[:, :, ::2, ::2], x_bchw[:, :, 1::2, 1::2]
    products = [grouped_product(x, w.flatten(2)) for x, w in zip(halves, (even_goi, odd_goi), strict=True)]
    return torch.cat([y.unflatten(1, (groups, -1)) for y in products], 2).flatten(1, 2)


def _backward(g: Tensor, *saved: Any) -> tuple[Tensor, Tensor | None]:
    gx, *gw = torch.ops.adarts.relu_product_backward(channels_last(g), *saved)
    return gx, gw[0] if gw else None


def _sizes(x: Tensor, matrix: Tensor) -> list[int]:
    return [x.numel() // x.shape[1], x.shape[1], len(matrix)]


define(
    "relu_product(Tensor x, Tensor matrix) -> Tensor",
    lambda x, matrix: empty(x, len(x), len(matrix), *x.shape[2:]),
    _sizes,
    lambda out, x, matrix: (x, matrix, matrix.requires_grad),
    _backward,
)
define(
    "relu_product_backward(Tensor g, Tensor x, Tensor matrix, bool weights) -> Tensor[]",
    lambda g, x, matrix, weights: [empty(x, *x.shape), *([matrix.new_empty(matrix.shape)] if weights else [])],
    lambda g, x, matrix, weights: _sizes(x, matrix),
)


def _halved_sizes(x: Tensor, even: Tensor, odd: Tensor) -> list[list[int]]:
    return [[*x.shape, len(even), even.shape[1], odd.shape[1]]]


def _halved_backward(g: Tensor, *saved: Any) -> tuple[Tensor | None, ...]:
    gx, *gw = torch.ops.adarts.relu_halved_backward(channels_last(g), *saved)
    return gx, *(gw or (None, None))


define(
    "relu_halved(Tensor x, Tensor even, Tensor odd) -> Tensor",
    lambda x, even, odd: empty(
        x, len(x), len(even) * (even.shape[1] + odd.shape[1]), *(-(-s // 2) for s in x.shape[2:])
    ),
    _halved_sizes,
    lambda out, x, even, odd: (x, even, odd, even.requires_grad or odd.requires_grad),
    _halved_backward,
)
define(
    "relu_halved_backward(Tensor g, Tensor x, Tensor even, Tensor odd, bool weights) -> Tensor[]",
    lambda g, x, even, odd, weights: [
        empty(x, *x.shape),
        *([even.new_empty(even.shape), odd.new_empty(odd.shape)] if weights else []),
    ],
    lambda g, x, even, odd, weights: _halved_sizes(x, even, odd),
)
