"""ReLU and a dense 1x1 convolution: what prepares the inputs of every cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adarts.kernels.operators import call, channels_last, define, empty, native


def channel_product(x_bchw: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the channel vector of every pixel by ``matrix`` (out, in): a 1x1 convolution, free of copies in channels last."""
    return F.linear(x_bchw.permute(0, 2, 3, 1), matrix).permute(0, 3, 1, 2)


def relu_product(x_bchw: Tensor, matrix_oi: Tensor) -> Tensor:
    """The 1x1 convolution of ReLU(x) with ``matrix`` (out, in): (B, out, H, W)."""
    if native(x_bchw, matrix_oi) and matrix_oi.shape[1:] == x_bchw.shape[1:2]:
        product: Tensor = torch.ops.adarts.relu_product(channels_last(x_bchw), matrix_oi.contiguous())
        return product
    return channel_product(F.relu(x_bchw), matrix_oi)


def _pixels(x: Tensor) -> int:
    return x.numel() // x.shape[1]


def _forward(x: Tensor, matrix: Tensor) -> Tensor:
    out = _fake(x, matrix)
    call("relu_product", x.dtype, _pixels(x), x.shape[1], len(matrix), x, matrix, out)
    return out


def _fake(x: Tensor, matrix: Tensor) -> Tensor:
    return empty(x, len(x), len(matrix), *x.shape[2:])


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)
    ctx.weights = inputs[1].requires_grad


def _backward(ctx: Any, saved: Sequence[Tensor], g: Tensor) -> tuple[Tensor, Tensor | None]:
    gx, *gw = torch.ops.adarts.relu_product_backward(channels_last(g), *saved, ctx.weights)
    return gx, gw[0] if gw else None


def _backward_kernel(g: Tensor, x: Tensor, matrix: Tensor, weights: bool) -> list[Tensor]:
    out = _fake_backward(g, x, matrix, weights)
    gw = out[1] if weights else None
    call("relu_product_backward", x.dtype, _pixels(x), x.shape[1], len(matrix), g, x, matrix, out[0], gw)
    return out


def _fake_backward(g: Tensor, x: Tensor, matrix: Tensor, weights: bool) -> list[Tensor]:
    return [empty(x, *x.shape), *([matrix.new_empty(matrix.shape)] if weights else [])]


define("relu_product(Tensor x, Tensor matrix) -> Tensor", _forward, _fake, (_remember, _backward))
define(
    "relu_product_backward(Tensor g, Tensor x, Tensor matrix, bool weights) -> Tensor[]",
    _backward_kernel,
    _fake_backward,
)
