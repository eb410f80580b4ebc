"""Readable parameter names by cell, edge and operation, at every boundary of the supernet.

Inside, the parameters of all edges that leave a node are one tensor: ``cells.3.sources.1.operations.sep_conv_3x3.norm1.…``.
Outside (state dict, textbook, checkpoints) every edge has its own: ``cells.3.edges.1_4.operations.sep_conv_3x3.norm1.…``,
and ``cells.3.nodes.1.attention.…`` where a node's edges share one attention module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_INSIDE = re.compile(r"^(?P<head>.*cells\.\d+)\.sources\.(?P<source>\d+)\.(?P<tail>.+)$")


def _outside_names(inside: str, edges: Sequence[tuple[int, int]], count: int) -> list[str] | None:
    """The canonical names of the ``count`` slices of a batched tensor, or None for a tensor that is not batched."""
    match = _INSIDE.match(inside)
    if match is None:
        return None
    head, source, tail = match["head"], int(match["source"]), match["tail"]
    leaving = [f"{head}.edges.{s}_{t}.{tail}" for s, t in edges if s == source]
    return leaving if count == len(leaving) and not _shared(tail, count, leaving) else [f"{head}.nodes.{source}.{tail}"]


def _shared(tail: str, count: int, leaving: Sequence[str]) -> bool:
    return tail.startswith("attention.") and count == 1 and len(leaving) > 1


def split(tensors: Mapping[str, Tensor], edges: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
    """Inside names and batched tensors -> canonical names and their slices (views)."""
    result = {}
    for name, tensor in tensors.items():
        names = _outside_names(name, edges, len(tensor) if tensor.dim() else 0)
        if names is None:
            result[name] = tensor
        else:
            result.update(zip(names, tensor.unbind(), strict=True))
    return result


def merge(
    canonical: Mapping[str, Tensor], inside: Mapping[str, Tensor], edges: Sequence[tuple[int, int]]
) -> dict[str, Tensor]:
    """Canonical names and slices -> inside names and batched tensors; names that fit nothing are left as they are.

    Args:
        canonical: what was saved.
        inside: the supernet's own batched tensors, which say what belongs together.
        edges: of the space.
    """
    result = dict(canonical)
    for name, tensor in inside.items():
        names = _outside_names(name, edges, len(tensor) if tensor.dim() else 0)
        if names is not None and all(n in result for n in names):
            result[name] = torch.stack([result.pop(n) for n in names])
    return result
