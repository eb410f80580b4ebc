#!/usr/bin/env python
"""What one search step consists of: operator calls, operations and bytes by kind, and the shortest time that they allow.

    python benchmarks/roofline.py --batch 32
    python benchmarks/roofline.py --batch 96 --kernels torch triton --peaks 4.26e12 51.1e12

A step runs once on the CPU while every call of an operator is recorded. Views and empty tensors cost nothing and are left out; a
convolution's backward pass counts once for each gradient. A GPU launches at least one kernel for each of the other calls. With
`--kernels triton` the step takes the way that it takes on CUDA: operators with Triton kernels compute nothing and count as many
calls as they launch kernels.

Bytes are those of all tensors that a call reads and writes. Operations are two for each multiplication and addition of a product
or convolution, and one for each element otherwise. The floor of a call is the larger one of bytes / bandwidth and operations /
rate. Both peaks are measured here, by a large copy and a large product, or given with `--peaks`, for example those of a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass
from importlib import import_module
from typing import Any
from unittest import mock

import torch
from measure import ceilings, parser
from steps import Design
from torch import Tensor, library
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from adarts import kernels
from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError
from adarts.kernels import dense, gpu, operators

edges, fan, norm = (import_module(f"adarts.kernels.{name}") for name in ("edges", "fan", "norm"))

#: kind of a call -> beginnings of the names of its operators; the first kind that fits
KINDS = {
    "kernels of adarts": ("adarts.",),
    "convolutions": ("aten.convolution",),
    "matrix products": ("aten.mm", "aten.bmm", "aten.addmm", "aten.baddbmm"),
    "batch normalization": ("aten.native_batch_norm", "aten._native_batch_norm", "aten._batch_norm", "aten.batch_norm"),
    "pools": ("aten.max_pool", "aten.avg_pool"),
    "optimizers": ("aten._foreach", "aten._fused"),
    "choosing and indexing": (
        ("aten.topk", "aten.sort", "aten.gather", "aten.scatter", "aten.index", "aten.one_hot", "aten.embedding")
    ),
    "reductions": ("aten.sum", "aten.mean", "aten.amax", "aten.any", "aten.all", "aten.linalg", "aten.argmax"),
    "copies and constants": (
        *("aten.cat", "aten.stack", "aten.clone", "aten.copy", "aten._to_copy", "aten.repeat", "aten.constant_pad"),
        *("aten.zero", "aten.one", "aten.new_zero", "aten.new_one", "aten.fill", "aten.full", "aten.diag_embed"),
        *("aten.slice_backward", "aten.select_backward", "aten.arange"),
    ),
}
#: calls that run nothing on a device, besides views
FREE = (
    "aten.empty",
    "aten.new_empty",
    "aten.detach",
    "aten._local_scalar_dense",
    "aten._unsafe_view",
    "aten.promote_types",
    "prim.",
    "profiler.",
)

#: operator -> kernels that it launches on CUDA without gradients of weights, and with them; all others launch one
LAUNCHES = {
    "adarts.statistics.default": (2, 2),
    "adarts.normalized_sum_backward.default": (3, 3),
    "adarts.separable_backward.default": (2, 3),
    "adarts.separable_each_backward.default": (4, 5),
    "adarts.attention_backward.default": (2, 3),
}


@dataclass
class Sum:
    """Calls of one kind.

    Attributes:
        calls: how many.
        flops: their floating-point operations.
        bytes: what they read and write.
        seconds: the sum of their floors.
    """

    calls: int = 0
    flops: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0


class Recorder(TorchDispatchMode):
    """Adds up the calls of all operators by kind.

    Args:
        bandwidth: bytes per second.
        rate: floating-point operations per second.
        cuda: count the kernels that Triton's operators launch.
    """

    def __init__(self, bandwidth: float, rate: float, cuda: bool) -> None:
        super().__init__()
        self.bandwidth, self.rate, self.cuda = bandwidth, rate, cuda
        self.kinds: dict[str, Sum] = defaultdict(Sum)
        self.operators: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        name = str(func)
        if not name.startswith(FREE) and not _is_view(func):
            self._add(name, func, args, kwargs, found)
        return found

    def _add(self, name: str, func: OpOverload, args: Any, kwargs: Any, found: Any) -> None:
        made = list(_tensors(found))
        calls = len(made) if name.startswith("aten.convolution_backward") else 1
        given = list(_tensors((args, kwargs)))
        if self.cuda and name in LAUNCHES:
            calls = LAUNCHES[name][args[-1] is True]
        formula = flop_registry.get(func.overloadpacket)
        if formula:
            flops = formula(*args, **kwargs, out_val=found)
        elif name.startswith(("adarts.separable", "adarts.relu_product", "adarts.edges")):
            flops = products(func, args)
        else:
            flops = max(sum(tensor.numel() for tensor in tensors) for tensors in (given, made))
        # Some tensors repeat one number, without memory of their own.
        moved = sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in [*given, *made])
        total = self.kinds[kind_of(name)]
        total.calls += calls
        total.flops += flops
        total.bytes += moved
        total.seconds += max(moved / self.bandwidth, flops / self.rate)
        self.operators[name] += calls


def kind_of(name: str) -> str:
    """The kind of an operator; whatever has no other kind works element by element."""
    return next((kind for kind, names in KINDS.items() if name.startswith(names)), "element by element")


def products(func: OpOverload, args: Any) -> int:
    """Operations of the package's convolutions and products: of one pass forward, or one for each kind of gradient."""
    named = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=True)}
    if "matrix" in named:
        forward = 2 * named["x"].numel() * len(named["matrix"])
    elif "candidates" in named:
        forward = sum(2 * outputs * width for outputs, width in _convolutions(named))
        return forward * (1 + named.get("of_weights", False))
    else:
        x, stride = named["x"], named.get("stride", 1)
        outputs = (x[0] if isinstance(x, list) else x).numel() // stride**2
        widths = [w.shape[-1] ** 2 for w in named["depthwise"]] + [w.shape[-1] for w in named["pointwise"]]
        forward = 2 * outputs * sum(widths)
    return forward * (1 + named.get("weights", False))


def _convolutions(named: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Outputs of the convolutions of a node's edges, and products for each of them."""
    x, groups, channels = named["x"], named["groups"], named["index"].shape[2]
    pixels = x.numel() // x.shape[1] // named["options"][0] ** 2
    for number, kind, _, _, _, kernel, _ in zip(*[iter(named["candidates"])] * 7, strict=True):
        outputs = pixels * channels * (groups[2 * number + 1] - groups[2 * number])
        if kind == kernels.Kind.HALVED:
            yield outputs, channels
        for _ in range({kernels.Kind.ONCE: 1, kernels.Kind.TWICE: 2}.get(kind, 0)):
            yield outputs, kernel**2 + channels


@contextmanager
def as_on_cuda() -> Iterator[None]:
    """Inside, tensors on the CPU take the way of those on CUDA; operators with Triton kernels return zeros."""
    overriding = library.Library("adarts", "IMPL")

    def returns_zeros(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            made = operators.RESULTS[name](*arguments)
            for tensor in _tensors(made):
                tensor.zero_()
            return made

        return call

    for name in gpu.__all__:
        overriding.impl(name, returns_zeros(name), "CPU", allow_override=True)
    accepts = operators.native
    with (
        mock.patch.object(fan, "triton", accepts),
        mock.patch.object(norm, "triton", accepts),
        mock.patch.object(dense, "native", lambda *_: False),
        mock.patch.object(edges, "native", lambda *_: False),
    ):
        yield
    overriding._destroy()


def _is_view(func: OpOverload) -> bool:
    """Whether the results of an operator are views of its arguments."""
    infos = [result.alias_info for result in func._schema.returns]
    return bool(infos) and all(info is not None and not info.is_write for info in infos)


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--method", default="adarts", help="`adarts methods` lists them")
    options.add_argument(
        "--kernels", nargs="+", choices=["auto", "torch", "triton"], default=["auto"], help="auto are the native ones"
    )
    options.add_argument(
        "--peaks", nargs=2, type=float, metavar=("BYTES", "FLOPS"), help="per second, instead of measuring them here"
    )
    options.add_argument("--operators", action="store_true", help="also list the calls of every operator")
    return options.parse_args()


def run(options: argparse.Namespace) -> None:
    device = prepare_device(RunSettings(device="cpu", threads=options.threads))
    if options.peaks is None:
        found = ceilings(device)
        options.peaks = found["copy_bytes_per_second"], found["matmul_float32_flops"]
    bandwidth, rate = options.peaks
    print(f"{bandwidth / 1e9:,.1f} GB/s, {rate / 1e9:,.0f} GFLOP/s")
    for choice in options.kernels:
        with as_on_cuda() if choice == "triton" else nullcontext():
            recorder = record(options, "torch" if choice == "torch" else "auto", device, choice == "triton")
        print(f"\n| {choice} | calls | GFLOP | GB | floor, ms |\n| --- | ---: | ---: | ---: | ---: |")
        rows = sorted(recorder.kinds.items(), key=lambda row: -row[1].calls)
        whole = Sum(*(sum(values) for values in zip(*(astuple(part) for _, part in rows), strict=True)))
        for kind, part in [*rows, ("all", whole)]:
            print(
                f"| {kind} | {part.calls:,} | {part.flops / 1e9:.2f} | {part.bytes / 1e9:.2f} | {1e3 * part.seconds:.1f} |"
            )
        if options.operators:
            for name, calls in sorted(recorder.operators.items(), key=lambda row: -row[1]):
                print(f"{calls:7,}  {name}")


def record(options: argparse.Namespace, choice: kernels.Choice, device: torch.device, cuda: bool) -> Recorder:
    """Record the second step; the first creates the state of the optimizers."""
    sizes = {name: getattr(options, name) for name in ("channels", "cells", "batch", "size")}
    step = Design(method=options.method, kernels=choice, **sizes).step(device)
    step()
    with Recorder(*options.peaks, cuda) as recorder:
        step()
    return recorder


def main() -> int:
    try:
        run(parse())
    except AdartsError as error:
        print("roofline:", error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
