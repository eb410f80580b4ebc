import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts.errors import NotFiniteError
from adarts.models import Network
from adarts.spaces import DARTS, Genotype, at_least, decided_edges, derive, never_none, strongest_pairs
from adarts.spaces.genotype import CellGenotype

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
    # `none` is never emitted here, so a rule that leaves it out changes nothing.
    assert derive(DARTS, op_weights, edge_weights if with_edges else None, never_none) == genotype


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


def table(**entries):
    """Operation weights of both kinds: 0 but for entries such as sep_conv_3x3=[(0, 0.9)], edge and weight."""
    weights_eo = torch.zeros(14, 8, dtype=torch.double)
    for name, places in entries.items():
        for edge, weight in places:
            weights_eo[edge, DARTS.operations.index(name)] = weight
    return dict.fromkeys(DARTS.cell_kinds, weights_eo)


@given(st.integers(0, 10_000))
def test_strongest_pairs_follow_the_literal_rule(seed):
    op_weights = weights(seed)
    genotype = derive(DARTS, op_weights, rule=strongest_pairs)
    for kind, weights_eo in op_weights.items():
        for target, pairs in zip(DARTS.targets, genotype.cells[kind].nodes, strict=True):
            every = [(weights_eo[e, o].item(), e, o) for e in DARTS.incoming(target) for o in range(1, 8)]
            best = sorted(every, reverse=True)[:2]
            assert pairs == tuple((DARTS.operations[o], DARTS.edges[e][0]) for _, e, o in best)


def test_two_pairs_may_share_an_edge():
    genotype = derive(
        DARTS, table(skip_connect=[(0, 0.5)], sep_conv_3x3=[(0, 0.3)], none=[(1, 1.0)]), rule=strongest_pairs
    )
    assert genotype.cells["normal"].nodes[0] == (("skip_connect", 0), ("sep_conv_3x3", 0))
    assert Genotype.from_text(genotype.to_text()) == genotype


@given(st.integers(0, 10_000))
def test_decided_edges_keep_all_but_those_that_are_best_without_an_operation(seed):
    op_weights = weights(seed)
    genotype = derive(DARTS, op_weights, rule=decided_edges)
    for kind, weights_eo in op_weights.items():
        best = [DARTS.operations[o] for o in weights_eo.argmax(1).tolist()]
        cell, filled = genotype.cells[kind], {0, 1}
        for target, pairs in zip(DARTS.targets, cell.nodes, strict=True):
            edges = [e for e in DARTS.incoming(target) if best[e] != "none" and DARTS.edges[e][0] in filled]
            assert set(pairs) == {(best[e], DARTS.edges[e][0]) for e in edges}
            filled |= {target} if pairs else set()
        assert cell.concat == tuple(sorted(filled - {0, 1}))


def test_a_node_that_nothing_enters_leaves_with_all_that_reads_it():
    # Node 2 has nothing; node 3 reads node 2 alone; node 4 reads an input; node 5 nodes 3 and 4.
    genotype = derive(
        DARTS,
        table(none=[(e, 0.1) for e in range(14)], sep_conv_3x3=[(4, 0.9), (5, 0.8), (12, 0.7), (13, 0.6)]),
        rule=decided_edges,
    )
    cell = genotype.cells["normal"]
    assert cell.nodes == ((), (), (("sep_conv_3x3", 0),), (("sep_conv_3x3", 4),)) and cell.concat == (4, 5)
    assert genotype.remarks[0] == "normal cell: no edge enters node 2 and 3, so it is left out"
    assert not genotype.has_text and Genotype.from_json(genotype.to_json()) == genotype


def test_the_threshold_is_for_the_operation_and_the_order_for_its_product_with_the_edge():
    op_weights = table(sep_conv_3x3=[(0, 0.9), (1, 0.86), (2, 0.84), (3, 0.99), (4, 0.99)])
    edge_weights = torch.full((14,), 0.1)
    edge_weights[4] = 0.05
    genotype = derive(DARTS, op_weights, dict.fromkeys(DARTS.cell_kinds, edge_weights), at_least(0.85))
    nodes = genotype.cells["normal"].nodes
    # Edge 2 is among the two strongest of its node and stays below the threshold: edge 4 does not take its place.
    assert nodes == ((("sep_conv_3x3", 0), ("sep_conv_3x3", 1)), (("sep_conv_3x3", 1),), (), ())


@pytest.mark.parametrize("rule", [at_least(0.85), decided_edges])
def test_a_cell_of_which_nothing_remains_keeps_its_strongest_operation_on_an_input_and_says_so(rule):
    # The strongest of all, on edge 13, reads node 4, which nothing enters.
    op_weights = table(none=[(e, 0.8) for e in range(13)], dil_conv_5x5=[(6, 0.3)], skip_connect=[(13, 0.84), (0, 0.2)])
    op_weights["reduction"] = torch.full((14, 8), 0.9)
    op_weights["reduction"][:, 0] = 0.0
    genotype = derive(DARTS, op_weights, rule=rule)
    assert genotype.cells["normal"].nodes == ((), (), (("dil_conv_5x5", 1),), ())
    assert genotype.cells["normal"].concat == (4,)
    (remark,) = genotype.remarks
    assert "left the normal cell empty" in remark and "dil_conv_5x5 from node 1 to node 4" in remark
    network = Network(genotype, 10, 4, 3)
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 10)


def test_remarks_are_no_part_of_what_was_found():
    genotype = derive(DARTS, table(), rule=at_least(0.5))
    again = Genotype.from_json(genotype.to_json())
    assert genotype.remarks and not again.remarks and again == genotype and hash(again) == hash(genotype)
