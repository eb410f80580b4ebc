"""beta-DARTS: a decay of the alphas that acts on the softmax."""

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from adarts.methods.base import Method, MethodInfo, Search
from adarts.methods.darts import Darts
from adarts.methods.registry import register
from adarts.methods.schedule import Progress
from adarts.methods.stages import WithNone, leave_out_none


@register
class BetaDarts(Method):
    """A penalty on the smooth maximum of the alphas of every edge keeps the operation weights close together::

        L_alphas = L_val + lambda * mean over all edges log(sum_o exp(alpha_o))

    Its gradient is lambda times the softmax: the larger an operation weight, the more its alpha decays. lambda grows linearly
    from 0 to the final weight 50 over the epochs after the warm-up. The published schedule adds 0.5 per epoch for 100 epochs (on
    NAS-Bench-201; the value for the space of DARTS is not published). To get the same increase in a search of 50 epochs, set
    options.final_weight to 25. As published, the space of DARTS is searched without `none`, and NAS-Bench-201 with it.
    """

    info = MethodInfo(
        name="beta-darts",
        title="β-DARTS",
        year=2022,
        paper="Ye et al.: β-DARTS: Beta-Decay Regularization for Differentiable Architecture Search, CVPR 2022",
        changes="DARTS with a growing penalty on the log-sum-exp of the alphas of every edge",
        cost="as DARTS",
        defaults=Darts.info.defaults,
        spaces={"darts": {"options": {"with_none": False}}, "nasbench201": {"search": {"epochs": 100}}},
        replay="epoch",
    )

    class Options(WithNone):
        final_weight: NonNegativeFloat = 50.0
        """lambda after the last epoch."""

    options: Options

    def on_phase_start(self, search: Search) -> None:
        if not self.options.with_none:
            leave_out_none(search.supernet)

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor:
        weight = self.options.final_weight * progress.fraction
        return weight * alpha_eo.masked_fill(~active_eo, -torch.inf).logsumexp(-1).mean()
