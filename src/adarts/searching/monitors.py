"""Measurements after every epoch of a search: signs of a collapse, and how clearly the alphas prefer their cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from adarts.errors import DataError
from adarts.spaces import Genotype, Space
from adarts.supernet import Selection
from adarts.truth import DATA_SETS
from adarts.truth.judge import find_judge


def monitor(
    space: Space,
    genotype: Genotype,
    operation_weights: Mapping[str, Tensor] | None,
    edge_weights: Mapping[str, Tensor] | None,
) -> dict[str, Any]:
    """The part of the metrics record that describes the current architecture, by cell kind; no weights without alphas."""
    kinds = space.cell_kinds
    record: dict[str, Any] = {
        "skips": {kind: genotype.num_operations(kind, "skip_connect") for kind in kinds},
        "weight_free": {kind: genotype.num_weight_free(kind) for kind in kinds},
    }
    if (known := truth(genotype)) is not None:
        record["truth"] = known
    if operation_weights is None:
        return record
    weights = {kind: operation_weights[kind].detach().double().cpu() for kind in kinds}
    edges = None if edge_weights is None else {kind: edge_weights[kind].detach().double().cpu() for kind in kinds}
    record |= {
        "entropy": {kind: entropy(weights[kind]) for kind in kinds},
        "operation_margin": {kind: operation_margin(weights[kind]) for kind in kinds},
        "operation_weights": {kind: weights[kind].tolist() for kind in kinds},
    }
    if space.kept_edges is not None:
        record["edge_margin"] = {
            kind: edge_margin(space, weights[kind], None if edges is None else edges[kind]) for kind in kinds
        }
    if edges is not None:
        record["edge_weights"] = {kind: edges[kind].tolist() for kind in kinds}
    return record


def truth(genotype: Genotype) -> dict[str, Any] | None:
    """What the judge of the space says of these cells, as plain data; None if nothing is known about them.

    In NAS-Bench-201 test accuracies after full training with ranks and points below the best, in the DARTS space an estimate.
    """
    judge = find_judge(genotype.space)
    if judge is None:
        return None
    try:
        return judge.of(genotype).record()
    except DataError:  # e.g. cells of FairDARTS, whose nodes may have any number of inputs
        return None


def truth_in_words(known: Mapping[str, Any], data: str) -> str:
    """One line with the true accuracy and rank on the data set of the search, or with the estimated accuracy."""
    if "estimated" in known:
        beyond = "" if known["beyond"] is None else ", not to be trusted"
        return f"{DATA_SETS['cifar10']}: estimated accuracy {known['cifar10']:.2f} %{beyond}"
    name = data if data in DATA_SETS else "cifar10"
    rank = known["rank" if name == "cifar10" else f"rank_{name}"]
    return f"{DATA_SETS[name]}: true accuracy {known[name]:.2f} %, rank {rank:,}"


def entropy(weights_eo: Tensor) -> float:
    """Mean entropy of an edge's operation weights, in nats; log(operations) if all weights are equal.

    Weights are divided by their sum, because independent weights (FairDARTS's sigmoids) do not sum to 1.
    """
    shares_eo = weights_eo / weights_eo.sum(-1, keepdim=True).clamp(min=torch.finfo(weights_eo.dtype).tiny)
    return float(torch.special.entr(shares_eo).sum(-1).mean())


def operation_margin(weights_eo: Tensor) -> float:
    """Mean gap between the two largest operation weights of an edge; a single operation leads by its whole weight."""
    best = weights_eo.topk(min(2, weights_eo.shape[-1]), dim=-1).values
    return float((best[:, 0] - best[:, 1:].sum(-1)).mean())


def edge_margin(space: Space, weights_eo: Tensor, edge_e: Tensor | None) -> float:
    """Smallest gap between the weakest kept edge and the strongest dropped edge, over all nodes that drop an edge."""
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
    """Share of the selected channels that were also selected before: kind -> mean over its cells, edges and images.

    1 means that the selection did not change; a random selection of C/k channels gives about 1/k.

    Args:
        kinds: kind of each cell.
        before, now: the two selections.
        channels: number of channels of each cell.
    """
    shares: dict[str, list[float]] = {}
    for kind, old, new, width in zip(kinds, before.cells, now.cells, channels, strict=True):
        masks = [torch.zeros(*t.shape[:2], width).scatter_(2, t.cpu(), 1.0) for t in (old, new)]
        shares.setdefault(kind, []).append(((masks[0] * masks[1]).sum(-1) / new.shape[-1]).mean().item())
    return {kind: sum(values) / len(values) for kind, values in shares.items()}


def collapse_warning(genotype: Genotype, space: Space) -> str | None:
    """A warning with advice if the normal cell has too many skip connections, or None."""
    kind = space.cell_kinds[0]
    skips = genotype.num_operations(kind, "skip_connect")
    if skips <= space.max_skips:
        return None
    return (
        f"the {kind} cell has {skips} skip connections (more than {space.max_skips}): a sign of collapse. Try fewer "
        "epochs (--search.epochs), a method that allows at most one skip connection (--method adarts-trials, in the spaces "
        "darts and nasbench201), or an earlier epoch's genotype from metrics.jsonl"
    )
