"""A feature map with several readers, whose gradients are added in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from adarts.kernels.channels import pitch
from adarts.kernels.operators import channels_last, define, empty, triton


def fan(x_bchw: Tensor, count: int) -> Sequence[Tensor]:
    """The feature map for each of ``count`` readers. On CUDA their gradients are added in one kernel, elsewhere by autograd."""
    if count > 1 and x_bchw.requires_grad and triton(x_bchw):
        return _Fan.apply(x_bchw, count)  # type: ignore[no-any-return]
    return [x_bchw] * count


class _Fan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(x.view_as(x) for _ in range(count))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        found = [g if pitch(g) else channels_last(g) for g in gradients if g is not None]
        if len(found) < 2 or torch.is_grad_enabled():  # create_graph needs operators with derivatives
            return (sum(found[1:], found[0]) if found else None), None
        return torch.ops.adarts.total(found), None


define("total(Tensor[] maps) -> Tensor", lambda maps: empty(maps[0], *maps[0].shape))
