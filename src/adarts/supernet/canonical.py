"""Readable parameter names by cell, edge and operation, at every boundary of the supernet.

Inside, the parameters of all edges that leave a node are one tensor: ``cells.3.sources.1.operations.sep_conv_3x3.norm1.…``.
Outside (state dict, textbook, checkpoints) every edge has its own: ``cells.3.edges.1_4.operations.sep_conv_3x3.norm1.…``,
and ``cells.3.nodes.1.attention.…`` where a node's edges share one attention module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

_INSIDE = re.compile(r"^(?P<head>.*cells\.\d+)\.sources\.(?P<source>\d+)\.(?P<tail>.+)$")


class Names:
    """Translates between the batched tensors inside and the readable names outside.

    Args:
        edges: of the space, (source, target).
        node_attention: whether the edges that leave a node share one attention module.
    """

    def __init__(self, edges: Sequence[tuple[int, int]], node_attention: bool) -> None:
        self.edges, self.node_attention = edges, node_attention

    def split(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inside names and batched tensors -> canonical names and their slices (views)."""
        result = {}
        for name, tensor in tensors.items():
            names = self._outside(name)
            if names is None:
                result[name] = tensor
            else:
                result.update(zip(names, tensor.unbind(), strict=True))
        return result

    def merge(self, canonical: Mapping[str, Tensor], inside: Iterable[str]) -> dict[str, Tensor]:
        """Canonical names and slices -> inside names and batched tensors; names that fit nothing stay as they are.

        Args:
            canonical: what was saved.
            inside: the supernet's own names, which say what belongs together.
        """
        result = dict(canonical)
        for name in inside:
            names = self._outside(name)
            if names is not None and all(n in result for n in names):
                result[name] = torch.stack([result.pop(n) for n in names])
        return result

    def _outside(self, inside: str) -> list[str] | None:
        """The canonical names of the slices of a tensor, or None for one that is not batched."""
        match = _INSIDE.match(inside)
        if match is None:
            return None
        head, source, tail = match["head"], int(match["source"]), match["tail"]
        if self.node_attention and tail.startswith("attention."):
            return [f"{head}.nodes.{source}.{tail}"]
        return [f"{head}.edges.{s}_{t}.{tail}" for s, t in self.edges if s == source]
