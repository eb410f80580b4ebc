"""How a native kernel becomes an operator of torch: called through pointers, known to autograd and to tensors without data."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from adarts.kernels import build

_OPERATORS = torch.library.Library("adarts", "DEF")
_TYPES = {torch.float32: "float32", torch.float64: "float64"}


def native(*tensors: Tensor) -> bool:
    """Whether the native kernels take these tensors: on the CPU, in float32 or float64, and there to be used."""
    taken = all(t.device.type == "cpu" and t.dtype in _TYPES and t.dtype == tensors[0].dtype for t in tensors)
    return taken and build.library() is not None


def channels_last(x_bchw: Tensor) -> Tensor:
    """The layout that all kernels read and write."""
    return x_bchw.contiguous(memory_format=torch.channels_last)


def empty(like: Tensor, batch: int, channels: int, height: int, width: int) -> Tensor:
    """A feature map to be written, channels last."""
    shape = (batch, channels, height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def define(
    schema: str, kernel: Callable[..., Any], fake: Callable[..., Any], backward: tuple[Any, Any] | None = None
) -> None:
    """Register an operator ``torch.ops.adarts.NAME``.

    Args:
        schema: name, arguments and results in torch's notation.
        kernel: computes it on the CPU.
        fake: makes results of the right shape, without data.
        backward: (remember, backward) for autograd, as `torch.library.register_autograd` calls them.
    """
    name = schema.partition("(")[0]
    _OPERATORS.define(schema)
    _OPERATORS.impl(name, kernel, "CPU")
    torch.library.register_fake(f"adarts::{name}", fake, lib=_OPERATORS)
    if backward is not None:
        remember, gradient = backward
        torch.library.register_autograd(f"adarts::{name}", gradient, setup_context=remember, lib=_OPERATORS)


def call(
    name: str, dtype: torch.dtype, *arguments: Tensor | float | Sequence[Tensor | None] | Sequence[int] | None
) -> None:
    """Run a kernel on the current number of threads.

    Args:
        name: of the C function, without `adarts_` and the type.
        dtype: of all feature maps.
        arguments: tensors are passed as pointers to their data, lists of tensors as arrays of pointers, whole
            numbers as int64, others as double.
    """
    library = build.library()
    assert library is not None  # whoever calls has asked `native`
    function = getattr(library, f"adarts_{name}_{_TYPES[dtype]}")
    function.restype = None
    function(*map(_argument, arguments), ctypes.c_int64(torch.get_num_threads()))


def _argument(value: Any) -> Any:
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    if len(value) and isinstance(value[0], int):
        return (ctypes.c_int64 * len(value))(*value)
    return (ctypes.c_void_p * len(value))(*(None if t is None else t.data_ptr() for t in value))
