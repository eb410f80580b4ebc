"""ADARTS: channel attention selects the channels that go through the operations."""

from adarts.methods.base import Method, MethodInfo
from adarts.methods.registry import register

_PAPER = "Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS, IEEE TII 2023"


@register
class Adarts(Method):
    """The C/k channels with the highest attention go through the operations; the others bypass them (section III).

    The paper's hyper-parameters are the defaults of the settings.
    """

    info = MethodInfo(
        name="adarts",
        title="ADARTS",
        year=2023,
        paper=_PAPER,
        changes="the quarter of the channels with the highest attention; attention scales all channels",
        cost="about a quarter of DARTS's memory in the operations, plus the attention",
        replay="run",
    )


@register
class AdartsEdgeNormalization(Method):
    """ADARTS with PC-DARTS's edge normalization, which the paper's text leaves open."""

    info = MethodInfo(
        name="adarts-en",
        title="ADARTS with edge normalization",
        year=2023,
        paper=_PAPER,
        changes="as adarts; beta weights the edges that enter a node",
        cost="as adarts",
        defaults={"edge": {"normalization": True}},
        replay="run",
    )
