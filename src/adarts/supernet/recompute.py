"""Recomputation: a cell keeps its inputs alone, and repeats its forward pass when the backward pass comes to it."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from adarts.supernet.plan import CellPlan

if TYPE_CHECKING:
    from adarts.supernet.cell import SearchCell


def recomputed(
    cell: SearchCell,
    s0_bchw: Tensor,
    s1_bchw: Tensor,
    weight_eo: Tensor,
    beta_e: Tensor | None,
    given: Tensor | None,
    plan: CellPlan,
) -> tuple[Tensor, Tensor]:
    """The cell's result, with less memory; result, gradients and statistics are bit for bit those of the cell itself.

    Args:
        cell: the cell; the other arguments are those of its forward pass.
    """
    chosen: Tensor | None = None
    # The pass may be one with other parameters than the cell's own, and they are its own again by the backward pass.
    parameters = dict(cell.named_parameters())

    def run(*inputs: Tensor | None) -> tuple[Tensor, Tensor]:
        nonlocal chosen
        if chosen is None:
            result, chosen = cell(*inputs, given, plan)
            return result, chosen
        if s1_bchw.device.type == "cpu":
            _give_back()
        # The repetition takes the channels that were chosen, and follows the batch in copies of all statistics, which are
        # thrown away. To switch the statistics off would change what the normalization keeps for its gradient.
        copies = {name: buffer.clone() for name, buffer in cell.named_buffers()}
        state = {**parameters, **copies}
        return functional_call(cell, state, (*inputs, chosen, plan), tie_weights=False)  # type: ignore[no-any-return]

    result: tuple[Tensor, Tensor] = checkpoint(
        run,
        s0_bchw,
        s1_bchw,
        weight_eo,
        beta_e,
        use_reentrant=False,
        # The channels are not drawn again; what else is drawn comes from torch's own generator.
        preserve_rng_state=plan.skip_dropout > 0 or cell.space.draws,
    )
    return result


def _give_back() -> None:
    """Let glibc return what the cells before have freed: this cell's tensors do not fit into all the holes they left.

    Without it, a process of eight cells at K = 1 grows to 1.5 times this size, and its step is a fifth faster.
    """
    if (trim := _malloc_trim()) is not None:
        trim(0)


@cache
def _malloc_trim() -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
