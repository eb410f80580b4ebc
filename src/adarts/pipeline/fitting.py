"""What the limits of a plan mean for a network: its width, and the limits that the search looks at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import nn

from adarts.data import ImageData
from adarts.engine.files import to_json, write_atomically
from adarts.export import onnx_file
from adarts.export.facts import Facts
from adarts.export.trained import Deployed
from adarts.models.limits import widest
from adarts.pipeline.choose import heaviest, shape_of
from adarts.pipeline.plan import Plan
from adarts.spaces import Genotype
from adarts.training.model import resolve_genotype

Number = TypeVar("Number", int, int | None)


def require_feasible(plan: Plan, images: ImageData) -> None:
    """Check that whatever cells are found, a network of them can meet the limits.

    Raises:
        ConfigError: the narrowest network does not; the message has what it needs.
    """
    fitted(heaviest(), plan, images, most=2)


def fitted(genotype: Genotype, plan: Plan, images: ImageData, most: int | None = None) -> int:
    """The width of the network of these cells within the limits; at most that of the plan, unless another is given."""
    latency = None if plan.limits.max_latency is None else latency_of(images, plan.size)
    limits = replace(plan.limits.limits(), macs=plan.max_macs)
    return widest(
        genotype, plan.network.cells, shape_of(images, plan.size), limits, latency, most or plan.network.channels
    )


def macs_limit(plan: Plan, images: ImageData, latency: Callable[[nn.Module], float] | None = None) -> int | None:
    """The limit on MACs in the search, where a limit on the latency counts as one on MACs; None without limits.

    A search compares thousands of cells, which are too many to be measured. The latency is taken to grow linearly with the MACs,
    as it does between two networks of the published cells: the narrowest one, and one as wide as the plan allows.

    Args:
        plan: the plan.
        images: the images.
        latency: network -> measured milliseconds; None exports it and measures it in onnxruntime.
    """
    longest = plan.limits.max_latency
    if longest is None:
        return plan.max_macs
    measured, shape = latency or latency_of(images, plan.size), shape_of(images, plan.size)
    cells, depth = resolve_genotype(plan.search.published), plan.network.cells
    widths = 2, max(4, plan.network.channels)
    low, high = (shape.cost(cells, width, depth).macs for width in widths)
    first, last = (measured(shape.network(cells, width, depth).eval()) for width in widths)
    if last <= first:  # the width does not matter, as far as the machine can tell
        return plan.max_macs
    macs = max(low, low + int((longest - first) * (high - low) / (last - first)))
    return min(macs, plan.max_macs or macs)


def latency_of(images: ImageData, size: int) -> Callable[[nn.Module], float]:
    """A function that exports a network for such images, with sides of `size` pixels, and measures it in onnxruntime."""
    shape = images.in_channels, images.mean, images.std
    facts = Facts(images.classes, (size, size), *shape, images.name, images.fingerprint, 0.0, 0)

    def measured(network: nn.Module) -> float:
        with TemporaryDirectory() as place, torch.no_grad():
            path = Path(place, "network.onnx")
            onnx_file.write_onnx(Deployed(network, facts), facts, path)
            return onnx_file.latency(path)

    return measured


def decided(file: Path, about: Mapping[str, Any], decide: Callable[[], Number]) -> Number:
    """A number that depends on measured times. It is kept in a file, so that a run that continues has the same."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(file.read_text(encoding="utf-8"))
        if known["about"] == about:
            return known["number"]  # type: ignore[no-any-return]
    number = decide()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, to_json({"number": number, "about": about}))
    return number
