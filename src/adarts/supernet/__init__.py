"""The supernet: a network in which every edge contains all candidate operations."""

from adarts.supernet.cell import require_k
from adarts.supernet.network import Supernet, is_alpha
from adarts.supernet.plan import ArchWeights, masked_mean, masked_softmax
from adarts.supernet.selection import AttentionSource, Selection
from adarts.supernet.single import only, without_bypass

__all__ = [
    "ArchWeights",
    "AttentionSource",
    "Selection",
    "Supernet",
    "is_alpha",
    "masked_mean",
    "masked_softmax",
    "only",
    "require_k",
    "without_bypass",
]
