"""What is measured of a search after every epoch: the signs of a collapse, and how sure the search is of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adarts.spaces import NASBENCH201, Genotype, Space
from adarts.supernet import Selection
from adarts.truth import DATA_SETS, dataset_of, truth_of


def monitor(
    space: Space,
    genotype: Genotype,
    operation_weights: Mapping[str, Tensor],
    edge_weights: Mapping[str, Tensor] | None,
) -> dict[str, Any]:
    """The part of the metrics record that describes the architecture now, by cell kind."""
    kinds = space.cell_kinds
    weights = {kind: operation_weights[kind].detach().double().cpu() for kind in kinds}
    edges = None if edge_weights is None else {kind: edge_weights[kind].detach().double().cpu() for kind in kinds}
    record: dict[str, Any] = {
        "skips": {kind: genotype.num_operations(kind, "skip_connect") for kind in kinds},
        "weight_free": {kind: genotype.num_weight_free(kind) for kind in kinds},
        "entropy": {kind: entropy(weights[kind]) for kind in kinds},
        "operation_margin": {kind: operation_margin(weights[kind]) for kind in kinds},
        "operation_weights": {kind: weights[kind].tolist() for kind in kinds},
    }
    if space.kept_edges is not None:
        record["edge_margin"] = {
            kind: edge_margin(space, weights[kind], None if edges is None else edges[kind]) for kind in kinds
        }
    if (known := truth(genotype)) is not None:
        record["truth"] = known
    if edges is not None:
        record["edge_weights"] = {kind: edges[kind].tolist() for kind in kinds}
    return record


def truth(genotype: Genotype) -> dict[str, float] | None:
    """What the cells are worth, where that is known: test accuracies after full training, their ranks, points below the best."""
    if genotype.space != NASBENCH201.name:
        return None
    known = truth_of(genotype)
    return {
        "cifar10": known.cifar10.test,
        "rank": known.cifar10.rank,
        "regret": known.cifar10.regret,
        "cifar100": known.cifar100.test,
        "rank_cifar100": known.cifar100.rank,
        "regret_cifar100": known.cifar100.regret,
    }


def truth_in_words(known: Mapping[str, float], data: str) -> str:
    """The part of it that belongs to the data of a search."""
    name = dataset_of(data)
    rank = known["rank" if name == "cifar10" else f"rank_{name}"]
    return f"{DATA_SETS[name]}: true accuracy {known[name]:.2f} %, rank {rank:,}"


def entropy(weights_eo: Tensor) -> float:
    """Mean entropy of the operation weights of an edge, in nats; log(operations) when undecided.

    Weights that do not compete (FairDARTS's sigmoids) are taken as shares of their sum.
    """
    shares_eo = weights_eo / weights_eo.sum(-1, keepdim=True).clamp(min=torch.finfo(weights_eo.dtype).tiny)
    return float(torch.special.entr(shares_eo).sum(-1).mean())


def operation_margin(weights_eo: Tensor) -> float:
    """Mean gap between the weights of the best two operations of an edge."""
    best = weights_eo.topk(2, dim=-1).values
    return float((best[:, 0] - best[:, 1]).mean())


def edge_margin(space: Space, weights_eo: Tensor, edge_e: Tensor | None) -> float:
    """Smallest gap, over the nodes that must leave an edge out, between the last edge kept and the first left out."""
    candidates = [index for index, name in enumerate(space.operations) if name != "none"]
    strength = weights_eo[:, candidates].amax(-1)
    if edge_e is not None:
        strength = strength * edge_e
    gaps = []
    for target in space.targets:
        ranked = strength[list(space.incoming(target))].sort(descending=True).values
        kept = space.num_kept(target)
        if len(ranked) > kept:
            gaps.append((ranked[kept - 1] - ranked[kept]).item())
    return min(gaps)


def channel_stability(
    kinds: tuple[str, ...], before: Selection, now: Selection, channels: list[int]
) -> dict[str, float]:
    """Share of the selected channels that were selected before, too: kind -> mean over its cells, edges and images.

    1 means that the choice did not move; a random choice of C/k channels gives about 1/k. Kinds and channels: one a cell.
    """
    shares: dict[str, list[float]] = {}
    for kind, old, new, width in zip(kinds, before.cells, now.cells, channels, strict=True):
        masks = [torch.zeros(*t.shape[:2], width).scatter_(2, t.cpu(), 1.0) for t in (old, new)]
        shares.setdefault(kind, []).append(((masks[0] * masks[1]).sum(-1) / new.shape[-1]).mean().item())
    return {kind: sum(values) / len(values) for kind, values in shares.items()}


def collapse_warning(genotype: Genotype, space: Space) -> str | None:
    """What to say when the normal cell has too many skip connections, and what to do about it."""
    kind = space.cell_kinds[0]
    skips = genotype.num_operations(kind, "skip_connect")
    if skips <= space.max_skips:
        return None
    return (
        f"the {kind} cell has {skips} skip connections (more than {space.max_skips}): a sign of collapse. Try fewer "
        "epochs (--search.epochs), more warm-up (--search.warmup-epochs), one skip connection at most (--method adarts-trials, "
        "in the spaces darts and nasbench201), or take an earlier epoch's genotype from metrics.jsonl"
    )
