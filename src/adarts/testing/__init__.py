"""The contracts of a search method and of a search space, as tests that those of your own can be put through.

    from adarts.testing import MethodContract, SpaceContract
    from my_package import MY_SPACE, MyMethod

    class TestMyMethod(MethodContract):
        method = MyMethod

    class TestMySpace(SpaceContract):
        space = MY_SPACE

pytest runs them as it runs any test class. Every search in it is a real one, on the embedded photographs, of a few seconds; the
one that is carried out to its end is shared by the tests of a class.
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
