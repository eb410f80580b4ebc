"""Search methods: one short file per method, found by name in the registry."""

from importlib import import_module
from pkgutil import iter_modules

from adarts.methods.base import Family, Method, MethodInfo, Purpose, Search, Weighed
from adarts.methods.protocols import NASBENCH201
from adarts.methods.registry import create, get_method, list_methods, published, register, resolve_options
from adarts.methods.schedule import Phase, Progress

__all__ = [
    "NASBENCH201",
    "Family",
    "Method",
    "MethodInfo",
    "Phase",
    "Progress",
    "Purpose",
    "Search",
    "Weighed",
    "create",
    "get_method",
    "list_methods",
    "published",
    "register",
    "resolve_options",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")  # registers its methods
