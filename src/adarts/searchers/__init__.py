"""Searchers: one short file per algorithm that proposes cells and learns from their scores, found by name in the registry."""

from importlib import import_module
from pkgutil import iter_modules

from adarts.searchers.base import BestOfAll, Evaluate, Score, Searcher, SearcherInfo, Trial
from adarts.searchers.registry import SEARCHERS, create_searcher, get_searcher, register

__all__ = [
    "SEARCHERS",
    "BestOfAll",
    "Evaluate",
    "Score",
    "Searcher",
    "SearcherInfo",
    "Trial",
    "create_searcher",
    "get_searcher",
    "register",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")  # registers its searchers
