"""How the supernet is searched: one short file a method, found by name in the registry."""

from adarts.methods import adarts, darts, pc_darts  # noqa: F401  (importing registers them)
from adarts.methods.base import Method, MethodInfo, Moment, Phase, Purpose, Search, Sums
from adarts.methods.registry import create, get_method, list_methods, published, register

__all__ = [
    "Method",
    "MethodInfo",
    "Moment",
    "Phase",
    "Purpose",
    "Search",
    "Sums",
    "create",
    "get_method",
    "list_methods",
    "published",
    "register",
]
