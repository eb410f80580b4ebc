"""Every registered searcher keeps the contract, and the contract catches what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adarts.searchers import SEARCHERS
from adarts.spaces import NASBENCH201
from adarts.testing import SearcherContract

#: what a searcher needs besides its class
PARTICULARS: Mapping[str, Mapping[str, Any]] = {
    "random": {"learns": False},
    "cars": {"options": {"population": 6}},
    "enas": {
        "options": {"samples": 2, "learning_rate": 0.05, "last": 3},
        "trials": 5,
        "trials_to_learn": 36,
        "spaces_to_learn": (NASBENCH201,),  # a cell of DARTS has 32 words, and its policy is held near the uniform one
    },
    "genetic": {"options": {"population": 10}},
    "hierarchical": {"options": {"first": 10, "mutations": 20, "tournament": 0.1}},
    "local": {"options": {"first": True}, "trials": 30},  # a cell of NAS-Bench-201 has 24 neighbors
    "reinforce": {"options": {"learning_rate": 0.05}},
    "tpe": {"options": {"first": 5}, "trials": 8, "trials_to_learn": 36, "spaces_to_learn": (NASBENCH201,)},
}

for _name, _searcher in SEARCHERS.known.items():
    _test = f"Test_{_name}"
    globals()[_test] = type(_test, (SearcherContract,), {"searcher": _searcher, **PARTICULARS.get(_name, {})})
