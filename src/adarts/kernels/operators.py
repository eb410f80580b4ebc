"""How a native kernel becomes an operator of torch: called through pointers, known to autograd and to tensors without data."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_fake

from adarts.kernels import build

_OPERATORS = Library("adarts", "DEF")
_TYPES = {torch.float32: "float32", torch.float64: "float64"}


def native(*tensors: Tensor) -> bool:
    """Whether the native kernels take these tensors: on the CPU, in float32 or float64, and there to be used."""
    taken = all(t.device.type == "cpu" and t.dtype in _TYPES and t.dtype == tensors[0].dtype for t in tensors)
    return taken and build.functions() is not None


def channels_last(x_bchw: Tensor) -> Tensor:
    """The layout that all kernels read and write."""
    return x_bchw.contiguous(memory_format=torch.channels_last)


def empty(like: Tensor, batch: int, channels: int, height: int, width: int) -> Tensor:
    """A feature map to be written, channels last."""
    shape = (batch, channels, height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def define(
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    backward: tuple[Callable[..., None], Callable[..., tuple[Any, ...]]] | None = None,
) -> None:
    """Register an operator ``torch.ops.adarts.NAME``.

    Args:
        schema: name, arguments and results in torch's notation.
        kernel: computes it on the CPU.
        fake: makes results of the right shape, without data.
        backward: (remember, gradient): ``remember(ctx, arguments, results)`` keeps what ``gradient(ctx, *gradients of the
            results)`` needs to return one gradient (or list of gradients) for every argument.
    """
    name = schema.partition("(")[0]
    _OPERATORS.define(schema)
    _OPERATORS.impl(name, kernel, "CPU")
    register_fake(f"adarts::{name}", fake, lib=_OPERATORS)
    if backward is not None:
        _OPERATORS.impl(name, _differentiable(getattr(torch.ops.adarts, name).default, *backward), "Autograd")


def _differentiable(
    operator: torch._ops.OpOverload, remember: Callable[..., None], gradient: Callable[..., tuple[Any, ...]]
) -> Callable[..., Any]:
    """The operator as autograd sees it.

    torch's `register_autograd` does the same in general, and takes a tenth of a search step for it: it goes through all
    arguments as nested trees. Here an argument is a tensor, a list of tensors, or something without a gradient.
    """
    returns_list = str(operator._schema.returns[0].type) == "List[Tensor]"

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, arguments: tuple[Any, ...], *_: Tensor | None) -> Any:
            with torch._C._AutoDispatchBelowAutograd():
                results = operator(*arguments)
            remember(ctx, arguments, results)
            ctx.lengths = [len(value) if isinstance(value, list) else None for value in arguments]
            return tuple(results) if isinstance(results, list) else results

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
            flat: list[Any] = [None]
            for length, value in zip(ctx.lengths, gradient(ctx, *gradients), strict=True):
                flat.extend([value] if length is None else [None] * length if value is None else value)
            return tuple(flat)

    def apply(*arguments: Any) -> Any:
        flat: list[Any] = []
        for value in arguments:
            flat.extend(value if isinstance(value, list) else [value])
        results = Differentiable.apply(arguments, *flat)
        return list(results) if returns_list else results

    return apply


def call(
    name: str, dtype: torch.dtype, *arguments: Tensor | float | Sequence[Tensor | None] | Sequence[int] | None
) -> None:
    """Run a kernel on the current number of threads.

    Args:
        name: of the C function, without `adarts_` and the type.
        dtype: of all feature maps.
        arguments: tensors are passed as pointers to their data, lists of tensors as arrays of pointers, whole numbers as
            int64, others as double.
    """
    functions = build.functions()
    assert functions is not None  # whoever calls has asked `native`
    function = getattr(functions, f"adarts_{name}_{_TYPES[dtype]}")
    function(*map(_argument, arguments), ctypes.c_int64(torch.get_num_threads()))


def _argument(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        return ctypes.c_int64(value)
    if kind is list or kind is tuple:
        if value and type(value[0]) is int:
            return (ctypes.c_int64 * len(value))(*value)
        return (ctypes.c_void_p * len(value))(*[None if t is None else t.data_ptr() for t in value])
    if kind is float:
        return ctypes.c_double(value)
    return None if value is None else ctypes.c_void_p(value.data_ptr())
