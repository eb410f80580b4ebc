"""The contracts of search methods, search spaces and searchers, as test classes for your own ones.

    from adarts.testing import MethodContract, SearcherContract, SpaceContract
    from my_package import MY_SPACE, MyMethod, MySearcher

    class TestMyMethod(MethodContract):
        method = MyMethod

    class TestMySpace(SpaceContract):
        space = MY_SPACE

    class TestMySearcher(SearcherContract):
        searcher = MySearcher

pytest runs them like any test class. Every search is real and takes a few seconds on the embedded digits. The tests of a method
share one search that runs to its end. Searchers learn from a made-up score, within a second.
"""

from adarts.testing.contract import EDGES, Finished, MethodContract
from adarts.testing.searcher_contract import SearcherContract, share_of_one_operation
from adarts.testing.searches import (
    CPU,
    SMALL,
    Epoch,
    assert_equal_states,
    at,
    carry_out,
    moved,
    small_search,
    snapshot,
)
from adarts.testing.space_contract import SpaceContract

__all__ = [
    "CPU",
    "EDGES",
    "SMALL",
    "Epoch",
    "Finished",
    "MethodContract",
    "SearcherContract",
    "SpaceContract",
    "assert_equal_states",
    "at",
    "carry_out",
    "moved",
    "share_of_one_operation",
    "small_search",
    "snapshot",
]
