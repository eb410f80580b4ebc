"""Register native and Triton kernels as torch operators with support for autograd and meta tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, library

from adarts.kernels import build

_OPERATORS = library.Library("adarts", "DEF")
_TYPES = {torch.float32: "float32", torch.float64: "float64"}
_LARGEST = 2**31
#: name of an operator -> arguments -> its uninitialized results
RESULTS: dict[str, Callable[..., Any]] = {}
_NO_MEMORY, _BAD_INDEX = 1, 2  # return values of a kernel (native/vector.h)


def native(x_bchw: Tensor, *others: Tensor | None) -> bool:
    """Whether native kernels are available and accept these tensors: on the CPU, not empty, all float32 or all float64.

    They are not used in transforms of `torch.func`, which need second derivatives; in traced or exported graphs, which must run
    without them; and under autocast, whose dtypes they do not support. The caller compares shapes and passes tensors that do not
    fit to torch's operators, which accept or refuse them. torch's dispatcher checks that the others are on the CPU, too.
    """
    return x_bchw.is_cpu and _accepted(x_bchw, others, "cpu") and build.functions() is not None


def triton(x: Tensor, *others: Tensor | None) -> bool:
    """Whether Triton's kernels are available and accept these tensors on CUDA, by the rules of :func:`native`."""
    # Places in a tensor are computed in 32 bits.
    return x.is_cuda and x.numel() < _LARGEST and _accepted(x, others, "cuda") and build.triton()


def fused(x_bchw: Tensor, *others: Tensor | None) -> bool:
    """Whether Triton's kernels on CUDA, or the native ones on a CPU, accept these tensors."""
    return native(x_bchw, *others) or triton(x_bchw, *others)


def _accepted(x_bchw: Tensor, others: tuple[Tensor | None, ...], device: str) -> bool:
    dtype = x_bchw.dtype
    for other in others:  # a plain loop, because all these checks together cost about 1 % of a small step
        if other is not None and other.dtype is not dtype:
            return False
    return (
        dtype in _TYPES
        and x_bchw.numel() > 0
        and not torch._C._are_functorch_transforms_active()
        and not torch.is_autocast_enabled(device)
        and not torch._C._is_tracing()
        and not torch.compiler.is_exporting()
    )


def channels_last(x_bchw: Tensor) -> Tensor:
    """Convert to the memory format of all kernels."""
    return x_bchw.contiguous(memory_format=torch.channels_last)


def empty(like: Tensor, batch: int, channels: int, height: int, width: int) -> Tensor:
    """An uninitialized feature map, channels last."""
    shape = (batch, channels, height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def define(
    schema: str,
    results: Callable[..., Any],
    sizes: Callable[..., Sequence[Any]] | None = None,
    save: Callable[..., Sequence[Any]] | None = None,
    gradient: Callable[..., tuple[Any, ...]] | None = None,
    cpu: Callable[..., Any] | None = None,
    learnt: Callable[..., int] | None = None,
) -> None:
    """Register an operator ``torch.ops.adarts.NAME``, which calls the kernel of that name.

    On a CPU it is the native kernel, called with sizes, arguments and results; on CUDA the function of that name in
    :mod:`adarts.kernels.gpu`, called with arguments and results.

    Args:
        schema: name, arguments and results in torch's notation.
        results: arguments -> uninitialized results of the right shape.
        sizes: arguments -> sizes passed to the native kernel before them; None if there is no native kernel.
        save: ``save(results, *arguments)`` returns the values for the backward pass: tensors, lists of tensors, others.
        gradient: ``gradient(*gradients of the results, *saved)`` returns one gradient for every argument; a list of gradients
            for a list of tensors.
        cpu: computes the operator on a CPU by other operators, if there is no native kernel.
        learnt: arguments -> how many results, the first ones of a list, have a gradient; None: all.
    """
    name = schema.partition("(")[0]

    def kernel(*arguments: Any) -> Any:
        assert sizes is not None
        made = results(*arguments)
        first = arguments[0]
        dtype = (first[0] if isinstance(first, list) else first).dtype
        _call(name, dtype, *sizes(*arguments), *arguments, *(made if isinstance(made, tuple) else (made,)))
        return made

    def on_cuda(*arguments: Any) -> Any:
        from adarts.kernels import gpu

        made = results(*arguments)
        with torch.cuda.device_of((made if isinstance(made, list | tuple) else (made,))[0]):
            getattr(gpu, name)(*arguments, made)
        return made

    RESULTS[name] = results
    _OPERATORS.define(schema)
    if cpu is not None or sizes is not None:
        _OPERATORS.impl(name, cpu or kernel, "CPU")
    _OPERATORS.impl(name, on_cuda, "CUDA")
    library.register_fake(f"adarts::{name}", results, lib=_OPERATORS)
    if save is not None and gradient is not None:
        _OPERATORS.impl(
            name, _differentiable(getattr(torch.ops.adarts, name).default, save, gradient, learnt), "Autograd"
        )


def _differentiable(
    operator: torch._ops.OpOverload,
    save: Callable[..., Sequence[Any]],
    gradient: Callable[..., tuple[Any, ...]],
    learnt: Callable[..., int] | None,
) -> Callable[..., Any]:
    """Wrap an operator for autograd.

    torch's `register_autograd` does the same in general, but takes a tenth of a search step, because it treats all arguments as
    nested trees. Here an argument is a tensor, a list of tensors, or a value without a gradient.
    """
    returns_list = str(operator._schema.returns[0].type) == "List[Tensor]"

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, arguments: tuple[Any, ...], *_: Tensor | None) -> Any:
            with torch._C._AutoDispatchBelowAutograd():
                results = operator(*arguments)
            tensors: list[Tensor] = []
            ctx.kept = []  # position of each value among the saved tensors, or the value itself
            for value in save(results, *arguments):
                start = len(tensors)
                if isinstance(value, Tensor):
                    tensors.append(value)
                    ctx.kept.append((start, None))
                elif isinstance(value, list) and value and isinstance(value[0], Tensor):
                    tensors += value
                    ctx.kept.append((slice(start, len(tensors)), None))
                else:
                    ctx.kept.append((None, value))
            ctx.save_for_backward(*tensors)
            # torch would make zeros for indices, too, which have no gradient.
            ctx.set_materialize_grads(False)
            made = results if isinstance(results, list | tuple) else [results]
            count = len(made) if learnt is None else learnt(*arguments)
            if learnt is not None:
                ctx.mark_non_differentiable(*made[count:])
            ctx.made = [
                (tuple(result.shape), result.dtype, result.device)
                if number < count and result.is_floating_point()
                else None
                for number, result in enumerate(made)
            ]
            ctx.lengths = [len(value) if isinstance(value, list) else None for value in arguments]
            return tuple(results) if isinstance(results, list) else results

        @staticmethod
        def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Any, ...]:
            saved = ctx.saved_tensors
            gradients = tuple(
                torch.zeros(made[0], dtype=made[1], device=made[2])
                if gradient is None and made is not None
                else gradient
                for gradient, made in zip(incoming, ctx.made, strict=True)
            )
            if torch.is_grad_enabled():  # create_graph
                with torch.no_grad():
                    flat = in_a_row(ctx, saved, gradients)
                return (None, *_Once.apply(flat, *saved, *gradients))
            return (None, *in_a_row(ctx, saved, gradients))

    def in_a_row(ctx: Any, saved: tuple[Tensor, ...], gradients: tuple[Tensor | None, ...]) -> list[Tensor | None]:
        values = [other if place is None else saved[place] for place, other in ctx.kept]
        found = gradient(gradients, *values) if returns_list else gradient(*gradients, *values)
        flat: list[Tensor | None] = []
        for length, value in zip(ctx.lengths, found, strict=True):
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
    """Gradients that raise an error when they are differentiated again.

    torch's `once_differentiable` checks only the incoming gradients; this also checks the saved tensors.
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


def _call(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Run a kernel with the current number of threads.

    Tensors are passed as pointers to their data, lists of tensors as arrays of pointers, integers as int64, floats as double.

    Raises:
        MemoryError: the kernel's own buffers do not fit into memory.
        RuntimeError: an index is not a valid channel.
    """
    functions = build.functions()
    assert functions is not None  # the caller has checked `native`
    function = _function(functions, f"adarts_{name}_{_TYPES[dtype]}")
    if not function.argtypes:
        function.argtypes = [*(_SCALARS.get(type(value), ctypes.c_void_p) for value in arguments), ctypes.c_int64]
    failed = function(*map(_argument, arguments), torch.get_num_threads())
    if failed == _NO_MEMORY:
        raise MemoryError(f"not enough memory for the buffers of the native kernel '{name}'")
    if failed == _BAD_INDEX:
        raise RuntimeError(f"native kernel '{name}': an index is not a valid channel")


@cache
def _function(functions: ctypes.CDLL, name: str) -> ctypes._CFunctionType:
    """Look up a kernel; the library exports pointers to functions (native/vector.h)."""
    address = ctypes.c_void_p.in_dll(functions, name).value
    assert address is not None
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)


_SCALARS: dict[type, type] = {int: ctypes.c_int64, bool: ctypes.c_int64, float: ctypes.c_double}


def _argument(value: Any) -> Any:
    """A number, the address of a tensor, or an array of numbers or addresses."""
    if type(value) is list:
        if value and isinstance(value[0], int):
            return (ctypes.c_int64 * len(value))(*value)
        return (ctypes.c_void_p * len(value))(*[t.data_ptr() for t in value])
    return value.data_ptr() if isinstance(value, Tensor) else value
