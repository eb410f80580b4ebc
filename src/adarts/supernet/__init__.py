"""What is searched: the network in which every edge holds all candidate operations."""

from adarts.supernet.network import Supernet
from adarts.supernet.selection import Selection

__all__ = ["Selection", "Supernet"]
