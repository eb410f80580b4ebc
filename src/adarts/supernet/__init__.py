"""What is searched: the network in which every edge holds all candidate operations."""

from adarts.supernet.cell import require_k
from adarts.supernet.mixture import Mixture, masked_mean, masked_softmax
from adarts.supernet.network import Supernet
from adarts.supernet.selection import Selection

__all__ = ["Mixture", "Selection", "Supernet", "masked_mean", "masked_softmax", "require_k"]
