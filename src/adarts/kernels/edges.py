"""All mixed edges that leave a node in one native call, forward and backward; on a CPU only."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adarts.kernels.channels import pitch
from adarts.kernels.norm import Normalization
from adarts.kernels.operators import channels_last, define, empty, native


class Kind(IntEnum):
    """What a candidate operation computes (native/edges.cpp)."""

    MAX_POOL, AVERAGE_POOL, IDENTITY, HALVED, ONCE, TWICE, NONE = range(7)


#: feature maps of a kind, and how many of them are stored; (1, 1) if not listed
_MAPS = {Kind.IDENTITY: (1, 0), Kind.TWICE: (2, 2), Kind.NONE: (0, 0)}
#: channels of an edge for which the pointwise convolutions are fast; and all multiples of 16
_CHANNELS = (1, 2, 4, 8, 16)


class Statistics(NamedTuple):
    """The statistics of a normalization, (edges, channels), and its counters of batches (edges,)."""

    running_mean: Tensor
    running_var: Tensor
    counter: Tensor


class Candidate(NamedTuple):
    """A candidate operation of all edges that leave a node.

    Attributes:
        kind: what it computes.
        weights: of `HALVED` those of the even and of the odd pixels; of `ONCE` depthwise and pointwise; of `TWICE` these of both
            stages. The first axis is the edge.
        statistics: one for every normalization; the last one normalizes the result.
        kernel, dilation: of the depthwise convolutions.
    """

    kind: Kind
    weights: tuple[Tensor, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    kernel: int = 0
    dilation: int = 1


class Active(NamedTuple):
    """Adjacent edges and the operations that they compute.

    Attributes:
        start, stop: range of the edges.
        operations: every operation with the row of its gains.
    """

    start: int
    stop: int
    operations: Sequence[tuple[Candidate, int]]


class Carried(NamedTuple):
    """The contribution of an edge from :func:`edges` to its target node; only the carrier has a gradient.

    Attributes:
        bypass_bchw, gate_bc, mixed_bkhw, index_sk: as in a :class:`Contribution`; if all channels enter the operations, the gate
            has no images.
        carrier_bchw: stands for the contribution in autograd, without memory of its own.
    """

    bypass_bchw: Tensor
    gate_bc: Tensor
    mixed_bkhw: Tensor
    index_sk: Tensor
    carrier_bchw: Tensor


class Attention(NamedTuple):
    """The attention of all edges, and what it was computed from, without gradients.

    Attributes:
        attention_ebc: the attention, (edges or 1, B, C).
        mean_bc, largest_bc, pixel_bc: mean and maximum of the feature map over all pixels, and the pixel of the maximum.
        reduce_ehc, expand_ech: weights.
    """

    attention_ebc: Tensor
    mean_bc: Tensor
    largest_bc: Tensor
    pixel_bc: Tensor
    reduce_ehc: Tensor
    expand_ech: Tensor


def edges(
    x_bchw: Tensor,
    index_sek: Tensor,
    attention: Attention | None,
    beta_e: Tensor | None,
    gain_on: Tensor,
    groups: Sequence[Active],
    stride: int,
    norm: Normalization,
    constants: bool,
) -> list[Carried]:
    """The contributions of all edges that leave a node. :func:`edges_fit` must have returned True.

    Args:
        x_bchw: feature map of the node.
        index_sek: selected channels, (1 or B, E, C/k).
        attention: factors of the channels.
        beta_e: weight of every edge for the bypassing channels.
        gain_on: factor of every operation for the selected channels.
        groups: the operations of all edges.
        stride: stride of the edges.
        norm: whether the normalizations use the statistics of the batch, and whether they update the running ones.
        constants: an operation that a group does not compute adds its gain.
    """
    weights: list[Tensor] = []
    statistics: list[Statistics] = []
    table: list[int] = []
    places: dict[int, tuple[int, int]] = {}  # of a candidate's first weight and first normalization
    for number, group in enumerate(groups):
        for candidate, gain in group.operations:
            if id(candidate) not in places:
                places[id(candidate)] = len(weights), len(statistics) if candidate.statistics else -1
                weights += candidate.weights
                statistics += candidate.statistics
            table += number, candidate.kind, gain, *places[id(candidate)], candidate.kernel, candidate.dilation
    running = norm.mean_n is not None
    used = statistics if running else []
    x_bchw = channels_last(x_bchw)
    results: list[Tensor] = torch.ops.adarts.edges(
        x_bchw,
        index_sek.contiguous(),
        *((None,) * 6 if attention is None else attention),
        None if beta_e is None else beta_e.contiguous(),
        gain_on.contiguous(),
        [w.contiguous() for w in weights],
        [s.running_mean for s in used],
        [s.running_var for s in used],
        [s.counter for s in used],
        [stride, norm.training, constants],
        [edge for group in groups for edge in (group.start, group.stop)],
        table,
        norm.momentum,
        norm.eps,
        running and norm.training,
    )
    count, selected = index_sek.shape[1:]
    carriers, (mixed, gates, bypass, *_) = results[:count], results[count:]
    passing = x_bchw.detach() if stride == 1 else bypass
    parts = zip(gates.unbind(), mixed.split(selected, 1), index_sek.unbind(1), carriers, strict=True)
    return [Carried(passing, *part) for part in parts]


def edges_fit(
    x_bchw: Tensor, selected: int, candidates: Sequence[Candidate], norm: Normalization, *others: Tensor | None
) -> bool:
    """Whether :func:`edges` accepts a node's feature map and these operations.

    Args:
        x_bchw: feature map of the node.
        selected: channels of every edge that enter the operations.
        candidates: the operations.
        norm: how they normalize.
        others: gains, edge weights and weights of the attention.
    """
    if selected not in _CHANNELS and selected % _CHANNELS[-1]:
        return False
    if norm.training and x_bchw.shape[0] * max(x_bchw.shape[2:]) <= 2:
        return False  # perhaps one value per channel, which has no variance
    parts = [(*c.weights, *(part for statistics in c.statistics for part in statistics[:2])) for c in candidates]
    return native(x_bchw, *others, *(tensor for tensors in parts for tensor in tensors))


def attend(x_bchw: Tensor, reduce_ehc: Tensor, expand_ech: Tensor) -> Attention:
    """Channel attention of a node's feature map for :func:`edges`, which also computes the gradients."""
    with torch._C._AutoDispatchBelowAutograd():
        mean, largest, pixel = torch.ops.adarts.global_pools(channels_last(x_bchw))
        score = torch.ops.adarts.attention(mean, largest, reduce_ehc.contiguous(), expand_ech.contiguous())
    return Attention(score, mean, largest, pixel, reduce_ehc, expand_ech)


def collect(contributions: Sequence[Carried]) -> Tensor:
    """The feature map of the node that edges from :func:`edges` enter, (B, C, H, W)."""
    partial = contributions[0].gate_bc.numel() > 0
    node: Tensor = torch.ops.adarts.collect(
        [c.carrier_bchw for c in contributions],
        [c.bypass_bchw for c in contributions] if partial else [],
        [c.gate_bc for c in contributions] if partial else [],
        [c.mixed_bkhw for c in contributions],
        [c.index_sk.contiguous() for c in contributions],
    )
    return node


def _results(x: Tensor, index: Tensor, attention: Tensor | None, *others: Any) -> list[Tensor]:
    """Carriers, then data: results of the operations, gates, bypassing channels, statistics, pixels of maxima, maps."""
    stride, groups, candidates = others[11][0], others[12], others[13]
    batch, channels, height, width = x.shape
    height, width = -(-height // stride), -(-width // stride)
    count, selected = index.shape[1:]
    partial = selected < channels
    numbers = taps = 0
    maps = []
    for number, kind, *_ in zip(*[iter(candidates)] * _FIELDS, strict=True):
        n = (groups[2 * number + 1] - groups[2 * number]) * selected
        made, stored = _MAPS.get(kind, (1, 1))
        maps += [x.new_empty(batch * height * width * n) for _ in range(stored)]
        numbers += 2 * made * n
        taps += n * (kind == Kind.MAX_POOL)
    # A carrier stands for the sum of an edge's contributions in autograd: it has no memory of its own.
    carriers = [x.new_empty_strided((batch, channels, height, width), (0, 0, 0, 0)) for _ in range(count)]
    return [
        *carriers,
        empty(x, batch, count * selected, height, width),
        x.new_empty(count, batch if partial else 0, channels),
        empty(x, batch if partial and stride == 2 else 0, channels, height, width),
        x.new_empty(numbers),
        x.new_empty(taps * batch * height * width, dtype=torch.uint8),
        *maps,
    ]


def _sizes(
    x: Tensor,
    index: Tensor,
    attention: Tensor | None,
    reduce: Tensor | None,
    gain: Tensor,
    options: list[int],
    groups: list[int],
    candidates: list[int],
) -> list[int]:
    stride, training, constants = options
    modules, hidden = (1, 1) if attention is None or reduce is None else (len(attention), reduce.shape[1])
    per_image = len(index) > 1
    counts = len(groups) // 2, len(candidates) // _FIELDS
    return [*x.shape, *index.shape[1:], stride, per_image, len(gain), modules, hidden, training, constants, *counts]


def _save(out: list[Tensor], *arguments: Any) -> tuple[Any, ...]:
    *node, weights, _, _, _, options, groups, candidates, _, _, _ = arguments
    _, gates, _, numbers, taps, *maps = out[node[1].shape[1] :]
    learnt = any(w.requires_grad for w in (*weights, node[6]) if w is not None)
    return *node, weights, gates, numbers, taps, maps, options, groups, candidates, learnt


def _backward(gradients: Sequence[Tensor | None], *saved: Any) -> tuple[Any, ...]:
    nodes = [channels_last(g) for g in gradients[: saved[1].shape[1]] if g is not None]
    gx, g_reduce, g_expand, g_beta, g_gain, *g_weights = torch.ops.adarts.edges_backward(nodes, *saved)
    attention, beta, learnt = saved[2], saved[8], saved[-1]
    of_attention = (g_reduce, g_expand) if attention is not None and learnt else (None, None)
    of_weights = g_weights if learnt else None
    return (
        *(gx, *(None,) * 5, *of_attention, None if beta is None else g_beta, g_gain, of_weights),
        *(None,) * 9,
    )


def _gradients(g: list[Tensor], x: Tensor, *others: Any) -> list[Tensor]:
    reduce, expand, beta, gain, weights, learnt = *others[5:10], others[-1]
    nothing = x.new_empty(0)
    of_attention = [nothing if w is None or not learnt else w.new_empty(w.shape) for w in (reduce, expand)]
    return [
        *(empty(x, *x.shape), *of_attention, nothing if beta is None else beta.new_empty(beta.shape)),
        *(gain.new_empty(gain.shape), *(w.new_empty(w.shape) for w in weights if learnt)),
    ]


_NODE = (
    "Tensor x, Tensor index, Tensor? attention, Tensor? mean, Tensor? largest, Tensor? pixel, Tensor? reduce, Tensor? expand, "
    "Tensor? beta, Tensor gain, Tensor[] weights"
)
_PLAN = "int[] options, int[] groups, int[] candidates"
#: numbers of a candidate
_FIELDS = 7

define(
    f"edges({_NODE}, Tensor(a!)[] running_mean, Tensor(b!)[] running_var, Tensor(c!)[] counters, {_PLAN}, float momentum, "
    "float eps, bool updates) -> Tensor[]",
    _results,
    lambda x, index, attention, mean, largest, pixel, reduce, expand, beta, gain, weights, rm, rv, counters, *others: [
        _sizes(x, index, attention, reduce, gain, *others[:3])
    ],
    _save,
    _backward,
    learnt=lambda x, index, *_: index.shape[1],
)
# Returns the gradients of x, reduce, expand, beta, gain, and of all weights; those that are not there are empty.
define(
    f"edges_backward(Tensor[] g, {_NODE}, Tensor gates, Tensor statistics, Tensor taps, Tensor[] maps, {_PLAN}, bool of_weights) "
    "-> Tensor[]",
    _gradients,
    lambda g, x, index, attention, mean, largest, pixel, reduce, expand, beta, gain, weights, *others: [
        _sizes(x, index, attention, reduce, gain, *others[4:7]),
        [*(w.numel() for w in weights), -1],
    ],
)
define(
    "collect(Tensor[] carriers, Tensor[] bypass, Tensor[] gates, Tensor[] mixed, Tensor[] index) -> Tensor",
    lambda carriers, *_: empty(carriers[0], *carriers[0].shape),
    lambda carriers, bypass, gates, mixed, index: [
        [
            len(carriers[0]),
            *(carriers[0][0, 0].numel(), carriers[0].shape[1], index[0].shape[1], len(carriers), len(index[0]) > 1),
        ],
        [pitch(m) for m in mixed],
    ],
    lambda out, carriers, *_: (len(carriers),),
    lambda g, count: ([g] * count, None, None, None, None),
)
