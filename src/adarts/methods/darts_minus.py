"""DARTS-: a skip connection beside the operations, which fades."""

import math
from typing import Literal

from pydantic import NonNegativeFloat

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo, Progress
from adarts.methods.darts import Darts
from adarts.methods.registry import register


@register
class DartsMinus(Method):
    """An auxiliary skip connection helps the training of the supernet, so that the operation skip_connect need not::

        edge(x) = sum_o w_o o(x) + beta * aux(x)

    aux is the identity, or with stride 2 a halving skip connection with weights of its own; no cell inherits it. beta falls
    from 1 in the first epoch to 0 after the last one: along the line 1 - t, t being the share of the epochs behind the warm-up,
    or along a cosine. Behind a partial connection aux has the channels that enter the operations.
    """

    info = MethodInfo(
        name="darts-minus",
        title="DARTS-",
        year=2020,
        paper="Chu et al.: DARTS-: Robustly Stepping out of Performance Collapse without Indicators, ICLR 2021",
        changes="DARTS with a fading skip connection beside the operations of every edge",
        cost="as DARTS",
        defaults={**Darts.info.defaults, "edge": {**Darts.info.defaults["edge"], "auxiliary_skip": True}},
        replay="epoch",
    )

    class Options(Settings):
        decay: Literal["linear", "cosine"] = "linear"
        """How beta falls."""
        initial_weight: NonNegativeFloat = 1.0
        """beta in the first epoch."""
        final_weight: NonNegativeFloat = 0.0
        """beta that is reached after the last epoch; where it is the initial one, the connection does not fade."""

    options: Options

    def auxiliary(self, progress: Progress) -> float:
        initial, final, t = self.options.initial_weight, self.options.final_weight, progress.fraction
        left = (1 + math.cos(math.pi * t)) / 2 if self.options.decay == "cosine" else 1 - t
        return final + (initial - final) * left
