"""Readable parameter names by cell, edge and operation in the supernet's state dict.

Inside the supernet, the parameters of all edges that leave a node are one tensor:
``cells.3.sources.1.operations.sep_conv_3x3.norm1.…``. In the state dict, every edge has its own:
``cells.3.edges.1_4.operations.sep_conv_3x3.norm1.…``, and ``cells.3.nodes.1.attention.…`` if the edges of a node share one
attention module. An operation that runs edge by edge is ``….sources.1.operations.mine.by_edge.0.…`` inside, and
``….edges.1_4.operations.mine.…`` in the state dict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

_INSIDE = re.compile(r"^(?P<head>.*cells\.\d+)\.sources\.(?P<source>\d+)\.(?P<tail>.+)$")
_BY_EDGE = re.compile(r"^(?P<operation>operations\.\w+)\.by_edge\.(?P<edge>\d+)\.(?P<tail>.+)$")


class Names:
    """Translates between batched tensors inside the supernet and canonical names in its state dict.

    Args:
        edges: edges of the space, (source, target).
        node_attention: whether the edges that leave a node share one attention module.
    """

    def __init__(self, edges: Sequence[tuple[int, int]], node_attention: bool) -> None:
        self.edges, self.node_attention = edges, node_attention

    def split(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Split batched tensors into slices (views) with canonical names."""
        result = {}
        for name, tensor in tensors.items():
            names = self._outside(name)
            if isinstance(names, str):
                result[names] = tensor
            else:
                result.update(zip(names, tensor.unbind(), strict=True))
        return result

    def merge(self, canonical: Mapping[str, Tensor], inside: Iterable[str]) -> dict[str, Tensor]:
        """Stack slices with canonical names into batched tensors; unknown names are kept unchanged.

        Args:
            canonical: tensors by canonical name.
            inside: the names inside the supernet.
        """
        result = dict(canonical)
        for name in inside:
            names = self._outside(name)
            if isinstance(names, str):
                if names in result:
                    result[name] = result.pop(names)
            elif all(n in result for n in names):
                result[name] = torch.stack([result.pop(n) for n in names])
        return result

    def _outside(self, inside: str) -> list[str] | str:
        """The canonical names of a batched tensor's slices, or the name of a tensor that is not batched."""
        match = _INSIDE.match(inside)
        if match is None:
            return inside
        head, source, tail = match["head"], int(match["source"]), match["tail"]
        if self.node_attention and tail.startswith("attention."):
            return [f"{head}.nodes.{source}.{tail}"]
        edges = [f"{head}.edges.{s}_{t}" for s, t in self.edges if s == source]
        if (own := _BY_EDGE.match(tail)) is not None:
            return f"{edges[int(own['edge'])]}.{own['operation']}.{own['tail']}"
        return [f"{edge}.{tail}" for edge in edges]
