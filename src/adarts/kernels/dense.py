"""ReLU and a dense 1x1 convolution, as in the preprocessing of every cell."""

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
