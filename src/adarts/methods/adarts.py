"""ADARTS: channel attention decides which channels pass through the operations."""

from pydantic import NonNegativeFloat

from adarts.methods.base import Method, MethodInfo
from adarts.methods.darts_minus import DartsMinus
from adarts.methods.registry import register
from adarts.spaces import Genotype, derive, never_none
from adarts.supernet import Supernet

_PAPER = "Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS, IEEE TII 2023"


@register
class Adarts(Method):
    """The C/k channels with the highest attention pass, the others bypass; section III of the paper.

    The paper's hyper-parameters are the defaults of the settings themselves.
    """

    info = MethodInfo(
        name="adarts",
        title="ADARTS",
        year=2023,
        paper=_PAPER,
        changes="the quarter of the channels with the highest attention; all channels scaled by it",
        cost="about a quarter of DARTS's memory in the operations, plus the attention",
    )


@register
class AdartsEdgeNormalization(Method):
    """ADARTS with PC-DARTS's edge normalization, which the paper's text leaves open."""

    info = MethodInfo(
        name="adarts-en",
        title="ADARTS with edge normalization",
        year=2023,
        paper=_PAPER,
        changes="as adarts; beta weighs the edges that enter a node",
        cost="as adarts",
        defaults={"edge": {"normalization": True}},
    )


class NeverNone(Method):
    """Cells from the best operation of every edge but `none`, also where the space's own rule lets that win an edge."""

    def derive(self, supernet: Supernet) -> Genotype:
        """The best operation of every edge but `none`."""
        weights = self.operation_weights(supernet), self.edge_weights(supernet)
        return derive(supernet.space, *weights, rule=never_none)


@register
class AdartsFixed(NeverNone):
    """ADARTS with fixed channels: attention scales all of them, as in ADARTS, but does not choose which ones pass.

    The first C/k channels pass through the operations and the channels are shuffled after, as in PC-DARTS; no edge normalization.
    `none` is never derived, also where the space's own rule lets it win an edge (NAS-Bench-201).

    It is not of the paper but of this project, made where the true accuracy of every cell is known: there the choice of channels
    by attention ends in cells of skip connections, and this one does not (docs/truth.md).
    """

    info = MethodInfo(
        name="adarts-fixed",
        title="ADARTS with fixed channels",
        year=2026,
        paper="of this project: docs/truth.md",
        changes="as adarts, but always the first quarter of the channels, which are shuffled after",
        cost="as adarts",
        defaults={"edge": {"selector": "first", "k": 4, "attention": True}},
    )


@register
class AdartsAuxiliary(NeverNone, DartsMinus):
    """ADARTS with DARTS-'s auxiliary skip connection, which does not fade.

    It is there from the beginning to the end, beside the operations of every edge and before the same channels, so that the
    alphas need not choose a skip connection for the sake of the training. It wants well trained weights before the alphas move: a
    third of the epochs for the warm-up. `none` is never derived, also where the space's own rule lets it win an
    edge (NAS-Bench-201).

    It is not of the paper but of this project, made where the true accuracy of every cell is known (docs/truth.md).
    """

    info = MethodInfo(
        name="adarts-aux",
        title="ADARTS with an auxiliary skip connection",
        year=2026,
        paper="of this project: docs/truth.md",
        changes="as adarts, with a lasting skip connection beside the operations of every edge, which no cell inherits",
        cost="as adarts",
        defaults={"edge": {"selector": "attention", "k": 4, "attention": True, "auxiliary_skip": True}},
        replay="epoch",
    )

    class Options(DartsMinus.Options):
        """Of the auxiliary skip connection."""

        final_weight: NonNegativeFloat = 1.0
        """beta that is reached after the last epoch; where it is the initial one, the connection does not fade."""

    options: Options
