"""The contracts of search methods and search spaces, as test classes for your own ones.

    from adarts.testing import MethodContract, SpaceContract
    from my_package import MY_SPACE, MyMethod

    class TestMyMethod(MethodContract):
        method = MyMethod

    class TestMySpace(SpaceContract):
        space = MY_SPACE

pytest runs them like any test class. Every search is real and takes a few seconds on the embedded digits. The tests of a class
share one search that runs to its end.
"""

from adarts.testing.contract import EDGES, Finished, MethodContract
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
    "SpaceContract",
    "assert_equal_states",
    "at",
    "carry_out",
    "moved",
    "small_search",
    "snapshot",
]
