"""How the supernet is searched: one short file a method, found by name in the registry."""

from adarts.methods import (  # noqa: F401  (importing registers them)
    adarts,
    adarts_trials,
    beta_darts,
    darts,
    darts_2nd,
    darts_minus,
    darts_pt,
    dr_nas,
    eoi_nas,
    fair_darts,
    gdas,
    p_darts,
    pc_darts,
    robust_darts,
    sdarts,
    snas,
)
from adarts.methods.base import Method, MethodInfo, Phase, Progress, Purpose, Search, Weighed
from adarts.methods.registry import create, get_method, list_methods, published, register, resolve_options
from adarts.source_file import source_hash

__all__ = [
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
    "source_hash",
]
