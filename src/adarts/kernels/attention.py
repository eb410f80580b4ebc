"""Channel attention of all edges that leave a node, the channels it selects, and the factors it gives to channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from adarts.kernels.operators import define, fused


def attention(mean_bc: Tensor, largest_bc: Tensor, reduce_ehc: Tensor, expand_ech: Tensor) -> Tensor:
    """F_c = sigmoid(MLP(mean) + MLP(maximum)) of every edge (eq. 7); an MLP is a product, a ReLU and a product.

    Args:
        mean_bc, largest_bc: pooled feature map of the node (B, C).
        reduce_ehc, expand_ech: weights of the MLPs; the hidden width is h.

    Returns:
        The attention (E, B, C).
    """
    edges, hidden, channels = reduce_ehc.shape
    pooled = mean_bc.shape == largest_bc.shape == (len(mean_bc), channels)
    fits = pooled and expand_ech.shape == (edges, channels, hidden)
    if fits and fused(mean_bc, largest_bc, reduce_ehc, expand_ech):
        scores: Tensor = torch.ops.adarts.attention(
            mean_bc.contiguous(), largest_bc.contiguous(), reduce_ehc.contiguous(), expand_ech.contiguous()
        )
        return scores
    # The pooled vectors belong to the node, so all edges share them.
    pooled_pbc = torch.stack((mean_bc, largest_bc)).to(reduce_ehc.dtype)
    hidden_ebh = torch.relu(torch.einsum("pbc,ehc->pebh", pooled_pbc, reduce_ehc)).sum(0)
    return torch.sigmoid(torch.einsum("ebh,ech->ebc", hidden_ebh, expand_ech))


def strongest(score_ebc: Tensor, count: int, per_image: bool) -> Tensor:
    """The channels with the highest scores, of every image or on average over the images; of equal ones, the first.

    Args:
        score_ebc: score of every channel, for every edge and image.
        count: how many channels.
        per_image: whether images choose their own channels.

    Returns:
        Ascending indices (B or 1, E, count).

    Raises:
        ValueError: there are not so many channels.
    """
    if not 0 < count <= score_ebc.shape[-1]:
        raise ValueError(f"{count} of {score_ebc.shape[-1]} channels cannot be chosen")
    if fused(score_ebc):
        chosen: Tensor = torch.ops.adarts.strongest(score_ebc.contiguous(), count, per_image)
        return chosen
    score_sec = score_ebc.transpose(0, 1)
    if not per_image:
        score_sec = score_sec.mean(0, keepdim=True)
    # `topk` leaves open which of equal scores it takes.
    return score_sec.sort(dim=-1, descending=True, stable=True).indices[..., :count].sort(-1).values


def factors(attention_ebc: Tensor, index_sek: Tensor, gain_e: Tensor | None = None) -> tuple[Tensor, Sequence[Tensor]]:
    """The attention of the selected channels, and that of the others.

    Args:
        attention_ebc: attention of every edge.
        index_sek: selected channels, (1 or B, E, C/k).
        gain_e: further factor of the others for every edge.

    Returns:
        Factors of the selected channels (B, E·C/k), and for every edge those of all channels (B, C), 0 for the selected ones.
    """
    edges, batch, _ = attention_ebc.shape
    whole = index_sek.dtype is torch.int64 and len(index_sek) in (1, batch) and index_sek.shape[1] == edges
    if whole and fused(attention_ebc):
        scale_bn, *gates = torch.ops.adarts.factors(attention_ebc.contiguous(), index_sek.contiguous())
        if gain_e is not None:
            gates = [gate_bc * gain for gate_bc, gain in zip(gates, gain_e.unbind(), strict=True)]
        return scale_bn, gates
    index_ebk = index_sek.transpose(0, 1).expand(-1, attention_ebc.shape[1], -1)
    scale_ebk = attention_ebc.gather(2, index_ebk)
    gate_ebc = attention_ebc.scatter(2, index_ebk, 0.0)
    if gain_e is not None:
        gate_ebc = gate_ebc * gain_e[:, None, None]
    return scale_ebk.transpose(0, 1).flatten(1), gate_ebc.unbind()


def _attention_gradient(g: Tensor, *saved: Any) -> tuple[Any, ...]:
    _, _, reduce_ehc, expand_ech, *_ = saved
    pooled, weights = torch.ops.adarts.attention_backward(g.contiguous(), *saved)
    g_mean, g_largest = pooled.unbind()
    if not len(weights):
        return g_mean, g_largest, None, None
    g_reduce, g_expand = weights.split([reduce_ehc.numel(), expand_ech.numel()])
    return g_mean, g_largest, g_reduce.view(reduce_ehc.shape), g_expand.view(expand_ech.shape)


def _factors_gradient(gradients: Sequence[Tensor], index: Tensor) -> tuple[Tensor, None]:
    g_scale, *g_gates = (g.contiguous() for g in gradients)
    return torch.ops.adarts.factors_backward(g_scale, g_gates, index), None


define(
    "attention(Tensor mean, Tensor largest, Tensor reduce, Tensor expand) -> Tensor",
    lambda mean, largest, reduce, expand: mean.new_empty(len(reduce), *mean.shape),
    lambda mean, largest, reduce, expand: [*mean.shape, *reduce.shape[:2]],
    lambda out, mean, largest, reduce, expand: (
        *(mean, largest, reduce, expand),
        *(out, reduce.requires_grad or expand.requires_grad),
    ),
    _attention_gradient,
)
# Returns the gradients of mean and maximum (2, B, C), and of both weights one after the other.
define(
    "attention_backward(Tensor g, Tensor mean, Tensor largest, Tensor reduce, Tensor expand, Tensor attention, bool weights) "
    "-> (Tensor, Tensor)",
    lambda g, mean, largest, reduce, expand, attention, weights: (
        mean.new_empty(2, *mean.shape),
        mean.new_empty(reduce.numel() + expand.numel() if weights else 0),
    ),
    lambda g, mean, largest, reduce, expand, attention, weights: [*mean.shape, *reduce.shape[:2]],
)
define(
    "strongest(Tensor score, int count, bool per_image) -> Tensor",
    lambda score, count, per_image: score.new_empty(
        score.shape[1] if per_image else 1, len(score), count, dtype=torch.int64
    ),
    lambda score, *_: [*score.shape[1:], len(score)],
)
define(
    "factors(Tensor attention, Tensor index) -> Tensor[]",
    lambda attention, index: [
        attention.new_empty(attention.shape[1], len(attention) * index.shape[2]),
        *(edge.new_empty(edge.shape) for edge in attention),
    ],
    lambda attention, index: [*attention.shape[1:], len(attention), index.shape[2], len(index) > 1],
    lambda out, attention, index: (index,),
    _factors_gradient,
)
define(
    "factors_backward(Tensor g_scale, Tensor[] g_gates, Tensor index) -> Tensor",
    lambda g_scale, g_gates, index: g_scale.new_empty(len(g_gates), *g_gates[0].shape),
    lambda g_scale, g_gates, index: [*g_gates[0].shape, len(g_gates), index.shape[2], len(index) > 1],
)
