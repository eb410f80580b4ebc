"""beta-DARTS: a decay of the alphas that the softmax can feel."""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo, Progress, Purpose, Search
from adarts.methods.darts import Darts
from adarts.methods.registry import register
from adarts.supernet import ArchWeights


@register
class BetaDarts(Method):
    """A smooth maximum of the alphas of every edge is kept small, which keeps the operation weights close together.

    With alphas alpha of an edge::

        L_alphas = L_val + lambda * mean over all edges log(sum_o exp(alpha_o))

    Its gradient is lambda times the softmax itself: the larger an operation weight, the more its alpha decays, whereas weight
    decay on alphas acts unevenly on the weights. lambda grows along a line with the epoch. The public code has 0.5 an epoch,
    from 0 to 50 in 100 epochs of NAS-Bench-201; its value for this space is not published. Here lambda is the final weight, 50,
    times the share of the epochs behind the warm-up that are done: the same numbers in 100 epochs, and the same course in
    fewer. Who wants 0.5 an epoch in the 50 epochs of DARTS sets options.final_weight to 25.
    """

    info = MethodInfo(
        name="beta-darts",
        title="β-DARTS",
        year=2022,
        paper="Ye et al.: β-DARTS: Beta-Decay Regularization for Differentiable Architecture Search, CVPR 2022",
        changes="DARTS with a growing penalty on the log-sum-exp of the alphas of every edge",
        cost="as DARTS",
        defaults=Darts.info.defaults,
        replay="epoch",
    )

    class Options(Settings):
        """Of beta-DARTS."""

        final_weight: NonNegativeFloat = 50.0
        """lambda that is reached after the last epoch."""

    options: Options

    def weight(self, progress: Progress) -> float:
        """lambda, constant within an epoch."""
        return self.options.final_weight * progress.fraction

    def penalty(self, search: Search, purpose: Purpose, arch_weights: ArchWeights) -> Tensor | None:
        """Lambda times the mean log-sum-exp, on the loss of the alphas."""
        if purpose == "weights":
            return None
        net = search.supernet
        per_edge = [
            net.alphas[kind].masked_fill(~active_eo, -torch.inf).logsumexp(-1) for kind, active_eo in net.active.items()
        ]
        return self.weight(search.progress) * torch.cat(per_edge).mean()
