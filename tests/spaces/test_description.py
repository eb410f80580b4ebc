import pytest

from adarts.errors import ConfigError
from adarts.models import OPERATIONS
from adarts.spaces import DARTS, get_space


def test_edges_are_ordered_by_target_then_source():
    assert len(DARTS.edges) == 14
    assert DARTS.edges[:6] == ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (0, 4))
    assert [DARTS.incoming(target)[0] for target in DARTS.targets] == [i * (i + 3) // 2 for i in range(4)]
    assert sorted(edge for node in range(6) for edge in DARTS.outgoing(node)) == list(range(14))
    assert all(DARTS.edges[edge][1] == 4 for edge in DARTS.incoming(4))
    assert all(DARTS.edges[edge][0] == 1 for edge in DARTS.outgoing(1))


def test_224_alphas():
    assert len(DARTS.edges) * len(DARTS.operations) * len(DARTS.cell_kinds) == 224


def test_reductions_stand_at_one_and_two_thirds():
    assert DARTS.reductions(8) == (2, 5)
    assert DARTS.reductions(20) == (6, 13)
    assert [DARTS.cell_kind(index, 8) for index in range(8)].count("reduction") == 2
    assert DARTS.cell_kind(5, 8) == "reduction"


def test_only_the_inputs_of_a_reduction_cell_are_halved():
    assert [DARTS.stride("reduction", node) for node in range(6)] == [2, 2, 1, 1, 1, 1]
    assert {DARTS.stride("normal", node) for node in range(6)} == {1}


def test_names_agree():
    assert set(DARTS.operations) <= set(OPERATIONS)
    assert set(DARTS.operations) >= DARTS.weight_free
    assert get_space("darts") is DARTS


def test_unknown_space_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'darts'"):
        get_space("dart")
