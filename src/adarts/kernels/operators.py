"""How a native kernel becomes an operator of torch: called through pointers, known to autograd and to tensors without data."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, library

from adarts.kernels import build

_OPERATORS = library.Library("adarts", "DEF")
_TYPES = {torch.float32: "float32", torch.float64: "float64"}
_NO_MEMORY, _BAD_INDEX = 1, 2  # what a kernel returns (native/vector.h)


def native(x_bchw: Tensor, *others: Tensor | None) -> bool:
    """Whether the native kernels are there and take these tensors: on the CPU, all in float32 or all in float64, and not empty.

    They stand aside for the transforms of `torch.func`, which need derivatives of derivatives; in a traced or exported graph,
    which has to run without them; and under autocast, whose numbers they do not know. Shapes are for the caller to compare:
    what does not fit goes to torch's operators, which take or refuse it in their own words. That the others are on the CPU, too,
    is for torch's dispatcher to see.
    """
    dtype = x_bchw.dtype
    for other in others:  # a loop without a generator: all such checks together cost about 1 % of a small step
        if other is not None and other.dtype is not dtype:
            return False
    return (
        dtype in _TYPES
        and x_bchw.is_cpu
        and x_bchw.numel() > 0
        and not torch._C._are_functorch_transforms_active()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._is_tracing()
        and not torch.compiler.is_exporting()
        and build.functions() is not None
    )


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
        backward: (remember, gradient): ``remember(ctx, arguments, results)`` keeps what ``gradient(ctx, saved tensors,
            *gradients of the results)`` needs to return one gradient (or list of gradients) for every argument.
    """
    name = schema.partition("(")[0]
    _OPERATORS.define(schema)
    _OPERATORS.impl(name, kernel, "CPU")
    library.register_fake(f"adarts::{name}", fake, lib=_OPERATORS)
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
            saved = ctx.saved_tensors
            if torch.is_grad_enabled():  # create_graph
                with torch.no_grad():
                    flat = in_a_row(ctx, saved, *gradients)
                return (None, *_Once.apply(flat, *saved, *gradients))
            return (None, *in_a_row(ctx, saved, *gradients))

    def in_a_row(ctx: Any, saved: Sequence[Tensor], *gradients: Tensor) -> list[Tensor | None]:
        flat: list[Tensor | None] = []
        for length, value in zip(ctx.lengths, gradient(ctx, saved, *gradients), strict=True):
            flat.extend([value] if length is None else [None] * length if value is None else value)
        return flat

    def apply(*arguments: Any) -> Any:
        flat: list[Any] = []
        for value in arguments:
            flat.extend(value if isinstance(value, list) else [value])
        results = Differentiable.apply(arguments, *flat)
        return list(results) if returns_list else results

    return apply


class _Once(torch.autograd.Function):
    """Gradients that are functions of these tensors, and say so when they are to be differentiated themselves.

    torch's `once_differentiable` looks at the incoming gradients alone; here the saved tensors count, too.
    """

    @staticmethod
    def forward(ctx: Any, flat: list[Tensor | None], *_: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(flat)

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> None:
        raise RuntimeError(
            "the native kernels have no second derivative: compute the loss and both gradients inside "
            '`with adarts.kernels.using("torch"):`'
        )


def call(
    name: str, dtype: torch.dtype, *arguments: Tensor | float | Sequence[Tensor | None] | Sequence[int] | None
) -> None:
    """Run a kernel on the current number of threads.

    Args:
        name: of the C function, without `adarts_` and the type.
        dtype: of all feature maps.
        arguments: tensors are passed as pointers to their data, lists of tensors as arrays of pointers, whole numbers as
            int64, others as double.

    Raises:
        MemoryError: the kernel's own buffers do not fit into memory.
        RuntimeError: an index is not that of a channel.
    """
    functions = build.functions()
    assert functions is not None  # whoever calls has asked `native`
    function = getattr(functions, f"adarts_{name}_{_TYPES[dtype]}")
    failed = function(*map(_argument, arguments), ctypes.c_int64(torch.get_num_threads()))
    if failed == _NO_MEMORY:
        raise MemoryError(f"not enough memory for the buffers of the native kernel '{name}'")
    if failed == _BAD_INDEX:
        raise RuntimeError(f"native kernel '{name}': an index is not that of a channel")


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
