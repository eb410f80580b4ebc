"""NAS-Bench-201's space: its networks have the benchmark's sizes, its genotypes the benchmark's text."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts.errors import DataError
from adarts.models import OPERATIONS, Network, count_macs, count_parameters, operation_cost
from adarts.spaces import (
    NASBENCH201,
    CellGenotype,
    Genotype,
    at_least,
    decided_edges,
    derive,
    never_none,
    random_genotype,
    strongest_edges,
    strongest_pairs,
)
from adarts.truth import all_truths

NODE = (("skip_connect", 0),)
operations = st.lists(st.sampled_from(NASBENCH201.operations), min_size=6, max_size=6)


def text_of(names: list[str]) -> str:
    rows = iter(names)
    return "+".join(
        "|" + "".join(f"{next(rows)}~{source}|" for source in range(target)) for target in NASBENCH201.targets
    )


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.full)])
def test_our_networks_have_the_sizes_of_the_benchmark(count: int) -> None:
    """Of so many random cells, and of the best, the worst, the largest and the smallest."""
    table = all_truths()
    cells = random.Random(0).sample(table, count)
    for key in (lambda t: t.cifar10.test, lambda t: t.parameters):
        cells += [max(table, key=key), min(table, key=key)]
    for truth in cells:
        with torch.device("meta"):
            network = Network(Genotype.from_text(truth.arch), num_classes=10, channels=16, cells=15)
        assert count_parameters(network) == truth.parameters, truth.arch


@pytest.mark.parametrize("index", [0, 1, 6111])
def test_the_macs_are_those_of_the_benchmark_but_for_what_it_counts_besides(index: int) -> None:
    """The benchmark counts a classifier's biases and the like; convolutions make up nearly all of it."""
    truth = all_truths()[index]
    network = Network(Genotype.from_text(truth.arch), num_classes=10, channels=16, cells=15)
    assert count_macs(network, (1, 3, 32, 32)) / 1e6 == pytest.approx(truth.macs, rel=2e-4)


@given(operations)
def test_text_and_json_say_the_same(names: list[str]) -> None:
    text = text_of(names)
    genotype = Genotype.from_text(text)
    assert genotype.has_text and genotype.to_text() == text
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert genotype.num_operations("normal", "none") == 0
    genotype.require_within(NASBENCH201)


@given(operations)
def test_every_rule_decides_every_edge(names: list[str]) -> None:
    weights_eo = torch.full((6, 5), 0.1)
    for edge, name in enumerate(names):
        weights_eo[edge, NASBENCH201.operations.index(name)] = 0.9
    order = [NASBENCH201.edges.index((s, t)) for t in NASBENCH201.targets for s in range(t)]
    expected = Genotype.from_text(text_of([names[edge] for edge in order]))
    for rule in (strongest_edges, strongest_pairs, decided_edges, at_least(0.5)):
        assert derive(NASBENCH201, {"normal": weights_eo}, rule=rule) == expected


@given(operations)
def test_where_none_may_not_win_the_second_best_does(names: list[str]) -> None:
    weights_eo = torch.full((6, 5), 0.1)
    weights_eo[:, NASBENCH201.operations.index("nor_conv_1x1")] = 0.5
    for row, name in zip(weights_eo, names, strict=True):
        row[NASBENCH201.operations.index(name)] = 0.9
    order = [NASBENCH201.edges.index((s, t)) for t in NASBENCH201.targets for s in range(t)]
    expected = text_of([names[edge] for edge in order]).replace("none", "nor_conv_1x1")
    assert derive(NASBENCH201, {"normal": weights_eo}, rule=never_none).to_text() == expected


@given(operations)
def test_any_cell_can_be_built_at_any_image_size(names: list[str]) -> None:
    genotype = Genotype.from_text(text_of(names))
    network = Network(genotype, num_classes=3, channels=4, cells=3)
    assert network(torch.randn(2, 3, 9, 14)).shape == (2, 3)


def test_a_cell_whose_output_nothing_enters_is_named() -> None:
    weights_eo = torch.zeros(6, 5)
    weights_eo[:, 0] = 1.0
    weights_eo[NASBENCH201.edges.index((2, 3)), 1] = 2.0  # a skip connection from a node that nothing enters
    (remark,) = derive(NASBENCH201, {"normal": weights_eo}).remarks
    assert "no path leads to its last node" in remark
    weights_eo[NASBENCH201.edges.index((0, 2)), 1] = 2.0
    assert not derive(NASBENCH201, {"normal": weights_eo}).remarks


def test_random_cells_have_none_in_them_too() -> None:
    found = {random_genotype(NASBENCH201, seed).to_text() for seed in range(50)}
    assert len(found) > 45 and any("none" in text for text in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|nor_conv_3x3~0|", "expected |op~0|"),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|", "node 3 must read the nodes 0, 1, 2"),
        ("|nor_conv_3x3~0|+|none~1|none~0|+|none~0|none~1|none~2|", "node 2 must read the nodes 0, 1 in this order"),
        ("|nor_conv_3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "did you mean 'nor_conv_3x3'"),
        ("|__import__('os').system('x')~0|+|none~0|none~1|+|none~0|none~1|none~2|", "unknown operation"),
        ("|" * 1000, "expected"),
        ("|" * 10_000_000, "longer than 64 kB"),
        ("|a~0|" * 1000 + "+|a~0|+|a~0|", "expected"),
    ],
)
def test_other_texts_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        Genotype.from_text(text)
    assert any(part in str(error.value) for part in message.split("|") if part) and "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("nodes", "concat", "message"),
    [
        (((*NODE, ("nor_conv_1x1", 0)), NODE, NODE), (3,), "an edge of 'nasbench201' has only one operation"),
        ((NODE, NODE), (2,), "has 3 nodes and the output"),
        ((NODE, NODE, NODE), (1, 2, 3), "has 3 nodes and the output"),
    ],
)
def test_what_the_benchmark_does_not_have_is_no_genotype(nodes: tuple, concat: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(DataError, match=message):
        Genotype({"normal": CellGenotype(nodes, concat)}, "nasbench201")


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in ("none", "noise", "skip_connect")])
def test_every_operation_that_computes_has_macs(name: str) -> None:
    found = operation_cost(name, 16, 1, (8, 8))
    assert found.macs > 0 and found.accesses > 0
    assert found.macs >= found.parameters


def test_a_pair_of_none_is_refused_with_how_to_say_it() -> None:
    cell = CellGenotype(((("none", 0),), NODE, NODE), NASBENCH201.outputs)
    with pytest.raises(DataError, match="'none', which is written by leaving the pair out in 'nasbench201'"):
        Genotype({"normal": cell}, "nasbench201").require_within(NASBENCH201)
