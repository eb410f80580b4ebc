#!/usr/bin/env python
"""What one search step consists of: operator calls, operations and bytes by kind, and the shortest time that they allow.

    python benchmarks/roofline.py --batch 32
    python benchmarks/roofline.py --batch 96 --kernels torch --peaks 4.26e12 51.1e12

A step runs once on the CPU while every call of an operator is recorded. Views and empty tensors cost nothing and are left out;
a convolution's backward pass counts once for each gradient. A GPU launches about one kernel for each of the remaining calls.

Bytes are those of all tensors that a call reads and writes, operations are two for each multiplication and addition of a product
and one for each element otherwise. The floor of a call is the larger one of bytes / bandwidth and operations / rate. Both peaks
are measured here, by a large copy and a large product, or given with `--peaks`, for example those of a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from measure import ceilings, parser
from steps import Design
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
from adarts.errors import AdartsError

#: kind of a call -> beginnings of the names of its operators; the first kind that fits
KINDS = {
    "native kernels": ("adarts.",),
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
    """

    def __init__(self, bandwidth: float, rate: float) -> None:
        super().__init__()
        self.bandwidth, self.rate = bandwidth, rate
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
        formula = flop_registry.get(func.overloadpacket)
        elements = sum(tensor.numel() for tensor in made)
        flops = formula(*args, **kwargs, out_val=found) if formula else elements
        moved = sum(t.numel() * t.element_size() for t in [*_tensors((args, kwargs)), *made])
        total = self.kinds[kind_of(name)]
        total.calls += calls
        total.flops += flops
        total.bytes += moved
        total.seconds += max(moved / self.bandwidth, flops / self.rate)
        self.operators[name] += calls


def kind_of(name: str) -> str:
    """The kind of an operator; whatever has no other kind works element by element."""
    return next((kind for kind, names in KINDS.items() if name.startswith(names)), "element by element")


def _is_view(func: OpOverload) -> bool:
    """Whether the results of an operator are views of its arguments."""
    infos = [result.alias_info for result in func._schema.returns]
    return bool(infos) and all(info is not None and not info.is_write for info in infos)


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.set_defaults(device="cpu")
    options.add_argument("--method", default="adarts", help="`adarts methods` lists them")
    options.add_argument("--kernels", default="auto", help="auto: native kernels; torch: only torch's operators")
    options.add_argument(
        "--peaks", nargs=2, type=float, metavar=("BYTES", "FLOPS"), help="per second, instead of measuring them here"
    )
    options.add_argument("--operators", action="store_true", help="also list the calls of every operator")
    return options.parse_args()


def run(options: argparse.Namespace) -> None:
    device = prepare_device(RunSettings(device=options.device, threads=options.threads))
    sizes = {name: getattr(options, name) for name in ("channels", "cells", "batch", "size")}
    step = Design(method=options.method, kernels=options.kernels, **sizes).step(device)
    step()  # creates the state of the optimizers
    if options.peaks is None:
        found = ceilings(device)
        options.peaks = found["copy_bytes_per_second"], found["matmul_float32_flops"]
    with Recorder(*options.peaks) as recorder:
        step()
    bandwidth, rate = options.peaks
    print(f"peaks: {bandwidth / 1e9:,.1f} GB/s, {rate / 1e9:,.0f} GFLOP/s", file=sys.stderr)
    print("| kind | calls | GFLOP | GB | floor, ms |\n| --- | ---: | ---: | ---: | ---: |")
    rows = sorted(recorder.kinds.items(), key=lambda row: -row[1].calls)
    parts = [part for _, part in rows]
    whole = Sum(*(sum(getattr(part, name) for part in parts) for name in ("calls", "flops", "bytes", "seconds")))
    for kind, part in [*rows, ("all", whole)]:
        print(
            f"| {kind} | {part.calls:,} | {part.flops / 1e9:.2f} | {part.bytes / 1e9:.2f} | {1e3 * part.seconds:.1f} |"
        )
    if options.operators:
        for name, calls in sorted(recorder.operators.items(), key=lambda row: -row[1]):
            print(f"{calls:7,}  {name}")


def main() -> int:
    try:
        run(parse())
    except AdartsError as error:
        print("roofline:", error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
