"""DARTS-: an auxiliary skip connection that fades out."""

import math
from typing import Literal

from pydantic import NonNegativeFloat

from adarts.config.settings import Settings
from adarts.methods.base import Method, MethodInfo
from adarts.methods.darts import Darts
from adarts.methods.registry import register
from adarts.methods.schedule import Progress


@register
class DartsMinus(Method):
    """An auxiliary skip connection stabilizes the training, so that the operation skip_connect is not favored for it::

        edge(x) = sum_o w_o o(x) + beta * aux(x)

    aux is the identity, or with stride 2 a reducing skip connection with its own weights. Derived cells do not include it. beta
    falls from 1 in the first epoch to 0 after the last one, linearly or along a cosine, over the epochs after the warm-up. With a
    partial connection, aux receives the channels that enter the operations.
    """

    info = MethodInfo(
        name="darts-minus",
        title="DARTS-",
        year=2020,
        paper="Chu et al.: DARTS-: Robustly Stepping out of Performance Collapse without Indicators, ICLR 2021",
        changes="DARTS with an auxiliary skip connection on every edge that fades out",
        cost="as DARTS",
        defaults={**Darts.info.defaults, "edge": {**Darts.info.defaults["edge"], "auxiliary_skip": True}},
        spaces=Darts.info.spaces,
        replay="epoch",
    )

    class Options(Settings):
        decay: Literal["linear", "cosine"] = "linear"
        """Schedule of beta."""
        initial_weight: NonNegativeFloat = 1.0
        """beta in the first epoch."""
        final_weight: NonNegativeFloat = 0.0
        """beta after the last epoch."""

    options: Options

    def auxiliary(self, progress: Progress) -> float:
        initial, final, t = self.options.initial_weight, self.options.final_weight, progress.fraction
        left = (1 + math.cos(math.pi * t)) / 2 if self.options.decay == "cosine" else 1 - t
        return final + (initial - final) * left
