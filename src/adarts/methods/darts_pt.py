"""DARTS-PT: after an ordinary search, an operation is judged by how much its removal hurts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import PositiveFloat
from torch import Tensor

from adarts.config.settings import SearchConfig, WeightOptimizer
from adarts.methods.base import Method, MethodInfo, Purpose, Search
from adarts.methods.darts import Darts
from adarts.methods.registry import register
from adarts.methods.schedule import Phase, Progress
from adarts.methods.stages import WithNone, leave_out_none
from adarts.seeding import generator
from adarts.spaces import Space
from adarts.supernet import ArchWeights, Supernet, without_bypass

Result = tuple[float, float]
"""(accuracy, negative loss); larger is better, and the loss breaks ties."""


@register
class DartsPt(Method):
    """Search with DARTS, then select by perturbation instead of by the size of alpha.

    Decisions are made one by one in random order, each for both kinds of cells:

    * Edge: measure the accuracy of the supernet on the images for the alphas without each of the edge's operations in turn.
      Keep the operation whose removal hurts most; in a space that derives no `none`, never `none`.
    * Node, after all edges: measure without each of its incoming edges in turn, and remove the edge whose removal hurts
      least. Repeat until two remain.

    A removal does not change the weights of the other operations. The loss decides between equal accuracies. The first decision
    follows the last epoch of the search. Before each later one, the supernet is tuned, while alpha keeps learning. The learning
    rate of the weights starts again at a tenth and follows a cosine to `weights.final_learning_rate` over all tunings: as
    published, from 0.0025 to 0.001; in NAS-Bench-201, it stays at 0.0025. The published tuning takes 5 epochs, after a search of
    50 in the space of DARTS and of 100 in NAS-Bench-201; here it takes the same share of `search.epochs`. In the space of DARTS,
    14 edges and three nodes with a choice need 16 tunings. This space is searched without `none`, NAS-Bench-201 with it. With
    `fixed_alphas`, alpha stays 0, so all operations have equal weights until they are decided (blank-PT).
    """

    info = MethodInfo(
        name="darts-pt",
        title="DARTS-PT",
        year=2021,
        paper="Wang et al.: Rethinking Architecture Selection in Differentiable NAS, ICLR 2021",
        changes="after the search, operations and edges are chosen by how much their absence hurts the supernet",
        cost="as DARTS, plus 1.6 times as many epochs of tuning and about 240 measurements",
        defaults=Darts.info.defaults,
        spaces={
            "darts": {"options": {"with_none": False}},
            "nasbench201": {"search": {"epochs": 100}, "options": {"tuning": 0.05, "constant_rate": True}},
        },
        replay="epoch",
    )

    class Options(WithNone):
        tuning: PositiveFloat = 0.1
        """Epochs between two decisions, as a share of search.epochs; at least one epoch."""
        constant_rate: bool = False
        """Tune with a constant learning rate instead of a cosine."""
        fixed_alphas: bool = False
        """Keep alpha at 0 (blank-PT)."""

    options: Options

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        """The search, then the selection."""
        (search,) = super().phases(config, space)
        epochs = self._tuning(search.epochs) * (len(_nodes(space)) + len(space.edges) - 1)
        return search, replace(search, epochs=epochs, warmup_epochs=0, fresh=False, weights=self._tuned(config.weights))

    def on_phase_start(self, search: Search) -> None:
        if not self.options.with_none:
            leave_out_none(search.supernet)
        if self.options.fixed_alphas:
            with torch.no_grad():
                for alphas in search.supernet.alpha_parameters():
                    alphas.zero_()

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return ("weights",) if self.options.fixed_alphas else ("alphas", "weights")

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        """Those of the supernet, and 0 for an edge that was taken away."""
        return without_bypass(supernet, supernet.active, super().edge_weights(supernet))

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Decide for an edge or a node, where that is due."""
        net, number = search.supernet, self._decision(search)
        if number is None:
            return {}
        with torch.no_grad():
            decide = self._decide_edge if number < len(net.space.edges) else self._decide_node
            decisions = {kind: decide(search, kind, _order(search, kind)[number]) for kind in net.space.cell_kinds}
        for kind, (active_eo, _) in decisions.items():
            net.set_active(kind, active_eo.tolist())
        return {kind: record for kind, (_, record) in decisions.items()}

    def chosen_by(self) -> str:
        return "what the supernet loses without an operation or an edge"

    def _tuned(self, searched: WeightOptimizer) -> WeightOptimizer:
        """Settings of the weights' optimizer in the tuning, from those in the search."""
        rate = searched.learning_rate / 10
        if self.options.constant_rate:
            return searched.model_copy(update={"learning_rate": rate, "final_learning_rate": rate, "milestones": ()})
        final = min(rate, searched.final_learning_rate)
        return searched.model_copy(update={"learning_rate": rate, "final_learning_rate": final})

    def _tuning(self, epochs: int) -> int:
        """Number of epochs between two decisions."""
        return max(1, round(self.options.tuning * epochs))

    def _decision(self, search: Search) -> int | None:
        """Index of the decision after this epoch, or None."""
        progress, tuning = search.progress, self._tuning(search.config.search.epochs)
        if progress.phase == 0:
            return 0 if progress.is_last else None
        return (progress.epoch + 1) // tuning if (progress.epoch + 1) % tuning == 0 else None

    def _decide_edge(self, search: Search, kind: str, edge: int) -> tuple[Tensor, dict[str, Any]]:
        """Keep the operation of an edge whose removal hurts most; return the new mask and the measurements."""
        space, active_eo = search.supernet.space, search.supernet.active[kind].clone()
        names, derives_none = space.operations, space.kept_edges is None
        candidates = [o for o in active_eo[edge].nonzero().flatten().tolist() if derives_none or names[o] != "none"]
        without = {o: self._without(search, kind, active_eo, (edge, o)) for o in candidates}
        kept = min(without, key=without.__getitem__)
        active_eo[edge] = False
        active_eo[edge, kept] = True
        accuracy = {names[operation]: result[0] for operation, result in without.items()}
        return active_eo, {"edge": edge, "operation": names[kept], "accuracy_without": accuracy}

    def _decide_node(self, search: Search, kind: str, node: int) -> tuple[Tensor, dict[str, Any]]:
        """Remove the edges of a node whose removal hurts least; return the new mask and the measurements."""
        space, active_eo = search.supernet.space, search.supernet.active[kind].clone()
        edges, rounds = list(space.incoming(node)), []
        while len(edges) > space.num_kept(node):
            without = {edge: self._without(search, kind, active_eo, edge) for edge in edges}
            removed = max(edges, key=without.__getitem__)
            edges.remove(removed)
            active_eo[removed] = False
            rounds.append({str(edge): result[0] for edge, result in without.items()})
        return active_eo, {"node": node, "edges": edges, "accuracy_without": rounds}

    def _without(self, search: Search, kind: str, active_eo: Tensor, place: int | tuple[int, int]) -> Result:
        """Measure the supernet without an edge, or without one operation on it."""
        probe_eo = active_eo.clone()
        probe_eo[place] = False
        return self._measure(search, kind, probe_eo)

    def _measure(self, search: Search, kind: str, active_eo: Tensor) -> Result:
        """Measure the supernet with only these operations in the cells of a kind."""
        net, operations = search.supernet, dict(self.operation_weights(search.supernet))
        active = {**net.active, kind: active_eo}
        operations[kind] = operations[kind] * active_eo
        loss, accuracy = search.measure(
            ArchWeights(operations, without_bypass(net, active, super().edge_weights(net)), active)
        )
        return accuracy, -loss


def _nodes(space: Space) -> list[int]:
    """The nodes with more incoming edges than they keep."""
    return [target for target in space.targets if len(space.incoming(target)) > space.num_kept(target)]


def _order(search: Search, kind: str) -> list[int]:
    """Random order of the edges, followed by the nodes."""
    space, draws = search.supernet.space, generator(search.config.seed, "projection", kind)
    nodes = _nodes(space)
    edges: list[int] = torch.randperm(len(space.edges), generator=draws).tolist()
    return edges + [nodes[index] for index in torch.randperm(len(nodes), generator=draws).tolist()]
