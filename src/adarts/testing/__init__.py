"""The contract of a search method, as tests that a method of your own can be put through.

    from adarts.testing import MethodContract
    from my_package import MyMethod

    class TestMyMethod(MethodContract):
        method = MyMethod

pytest runs it as it runs any test class. Every search in it is a real one, on the embedded photographs, of a few seconds; the
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

__all__ = [
    "CPU",
    "EDGES",
    "SMALL",
    "Epoch",
    "Finished",
    "MethodContract",
    "assert_equal_states",
    "at",
    "carry_out",
    "moved",
    "small_search",
    "snapshot",
]
