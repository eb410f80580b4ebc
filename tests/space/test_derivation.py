import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts.errors import NotFiniteError
from adarts.space import DARTS, derive
from adarts.space.genotype import CellGenotype

SKIP, SEP3 = DARTS.operations.index("skip_connect"), DARTS.operations.index("sep_conv_3x3")


def weights(seed=0):
    random = torch.Generator().manual_seed(seed)
    return {kind: torch.randn(14, 8, generator=random).softmax(1) for kind in DARTS.cell_kinds}


def literal_rule(op_weights, edge_weights):
    """Section "derivation" of the original, step by step on plain numbers."""
    nodes, offset = [], 0
    for num_edges in (2, 3, 4, 5):
        edges = []
        for source in range(num_edges):
            row = op_weights[offset + source].tolist()
            best = max((index for index in range(8) if index != 0), key=lambda index: row[index])
            edges.append((row[best] * edge_weights[offset + source].item(), source, DARTS.operations[best]))
        strongest = sorted(edges, key=lambda edge: (-edge[0], edge[1]))[:2]
        nodes.append(tuple((name, source) for _, source, name in strongest))
        offset += num_edges
    return CellGenotype(tuple(nodes), (2, 3, 4, 5))


@given(st.integers(0, 10_000), st.booleans())
def test_follows_the_literal_rule(seed, with_edges):
    op_weights = weights(seed)
    edge_weights = {kind: table.double().sum(1) * table[:, 0] for kind, table in op_weights.items()}
    genotype = derive(DARTS, op_weights, edge_weights if with_edges else None)
    for kind, table in op_weights.items():
        factors = edge_weights[kind].double() if with_edges else torch.ones(14).double()
        assert genotype.cells[kind] == literal_rule(table.double(), factors)


def test_none_is_never_emitted_but_weakens_its_edge():
    table = torch.full((14, 8), -5.0)
    table[:, SEP3] = 0.0
    table[2:, 0] = torch.tensor([9.0, 0, 0, 9, 9, 0, 0, 0, 9, 9, 9, 0])
    genotype = derive(DARTS, dict.fromkeys(DARTS.cell_kinds, table.softmax(1)))
    assert genotype.num_operations("normal", "none") == 0
    sources = [sorted(source for _, source in pairs) for pairs in genotype.cells["normal"].nodes]
    assert sources == [[0, 1], [1, 2], [2, 3], [0, 4]]


def test_ties_go_to_the_lower_source_and_the_first_operation():
    genotype = derive(DARTS, dict.fromkeys(DARTS.cell_kinds, torch.full((14, 8), 1 / 8)))
    assert set(genotype.cells["normal"].nodes) == {(("max_pool_3x3", 0), ("max_pool_3x3", 1))}


def test_the_strongest_edge_comes_first():
    table = torch.zeros(14, 8)
    table[1, SKIP] = 1.0
    genotype = derive(DARTS, dict.fromkeys(DARTS.cell_kinds, table.softmax(1)))
    assert genotype.cells["normal"].nodes[0][0] == ("skip_connect", 1)


def test_edge_weights_change_only_which_edges_stay():
    edge_weights = torch.zeros(14)
    edge_weights[[0, 1, 3, 4, 7, 8, 12, 13]] = 1.0
    genotype = derive(DARTS, weights(), dict.fromkeys(DARTS.cell_kinds, edge_weights))
    sources = [sorted(source for _, source in pairs) for pairs in genotype.cells["reduction"].nodes]
    assert sources == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_works_on_low_precision_with_gradient():
    table = {kind: weight.bfloat16().requires_grad_() for kind, weight in weights().items()}
    assert derive(DARTS, table).cells["normal"].concat == (2, 3, 4, 5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(value):
    table = weights()
    table["reduction"][3, 4] = value
    with pytest.raises(NotFiniteError, match="reduction cell"):
        derive(DARTS, table)


def test_wrong_shape_is_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="shape"):
        derive(DARTS, dict.fromkeys(DARTS.cell_kinds, torch.zeros(8, 14)))
