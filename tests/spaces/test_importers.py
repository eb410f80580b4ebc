"""Cells as others write them: FairDARTS's triples and the configurations of NAS-Bench-301."""

from __future__ import annotations

import json
import re
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adarts.errors import DataError
from adarts.models import OPERATIONS
from adarts.spaces import DARTS, NASBENCH201, CellGenotype, Genotype, load_genotype, random_genotype
from adarts.spaces.nasbench301 import PREFIX, RESULT
from published import ADARTS_V1

from .refusals import refused

TRIPLES = (
    "Genotype(normal=[('sep_conv_3x3', 2, 0), ('sep_conv_5x5', 2, 1), ('max_pool_3x3', 4, 0), ('sep_conv_3x3', 5, 4)],"
    " reduce=[('max_pool_3x3', 2, 1), ('skip_connect', 3, 2), ('skip_connect', 3, 2), ('none', 3, 0)])"
)

# As in the benchmark's files: edges by target, then by source; only those that a node reads.
CONFIGURATION = {
    f"{PREFIX}{name}": value
    for name, value in {
        "edge_normal_0": "max_pool_3x3",
        "edge_normal_1": "sep_conv_5x5",
        "inputs_node_normal_3": "0_1",
        "edge_normal_2": "avg_pool_3x3",
        "edge_normal_3": "avg_pool_3x3",
        "inputs_node_normal_4": "0_1",
        "edge_normal_5": "avg_pool_3x3",
        "edge_normal_6": "avg_pool_3x3",
        "inputs_node_normal_5": "2_3",
        "edge_normal_11": "dil_conv_3x3",
        "edge_normal_12": "skip_connect",
        "edge_reduce_0": "dil_conv_5x5",
        "edge_reduce_1": "sep_conv_3x3",
        "inputs_node_reduce_3": "0_1",
        "edge_reduce_2": "max_pool_3x3",
        "edge_reduce_3": "max_pool_3x3",
        "inputs_node_reduce_4": "0_2",
        "edge_reduce_5": "dil_conv_5x5",
        "edge_reduce_7": "avg_pool_3x3",
        "inputs_node_reduce_5": "1_3",
        "edge_reduce_10": "max_pool_3x3",
        "edge_reduce_12": "dil_conv_3x3",
    }.items()
}


def test_triples():
    genotype = Genotype.from_text(TRIPLES)
    normal, reduction = genotype.cells["normal"], genotype.cells["reduction"]
    assert normal.nodes == (
        (("sep_conv_3x3", 0), ("sep_conv_5x5", 1)),
        (),
        (("max_pool_3x3", 0),),
        (("sep_conv_3x3", 4),),
    )
    assert normal.concat == (2, 4, 5)
    assert reduction.nodes[1] == (("skip_connect", 2), ("skip_connect", 2), ("none", 0)) and reduction.concat == (2, 3)
    assert genotype.to_triples() == TRIPLES
    assert Genotype.from_json(genotype.to_json()).to_triples() == TRIPLES


def test_the_concatenation_of_triples_leaves_empty_nodes_out():
    with_concat = TRIPLES.replace("], reduce", "], normal_concat=range(2, 6), reduce")
    both = with_concat.replace("])", "], reduce_concat=[2, 3, 4, 5])")
    assert Genotype.from_text(both) == Genotype.from_text(with_concat) == Genotype.from_text(TRIPLES)


def test_what_reads_an_empty_node_is_left_out():
    dead = TRIPLES.replace("('sep_conv_3x3', 5, 4)", "('sep_conv_3x3', 5, 4), ('skip_connect', 5, 3)")
    assert Genotype.from_text(dead) == Genotype.from_text(TRIPLES)
    chain = TRIPLES.replace("('max_pool_3x3', 4, 0)", "('max_pool_3x3', 4, 3)")  # then node 4 is empty, too
    assert Genotype.from_text(chain).cells["normal"].concat == (2,)


@st.composite
def ragged(draw):
    """Cells of any number of pairs a node, in which every node that something enters is an output."""
    cells = {}
    for kind in DARTS.cell_kinds:
        nodes, filled = [], [0, 1]
        for node in range(2, 2 + draw(st.integers(4, 6))):
            least = 1 if node in (2, 6, 7) else 0
            pair = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.sampled_from(filled))
            nodes.append(tuple(draw(st.lists(pair, min_size=least, max_size=3))))
            filled += [node] if nodes[-1] else []
        cells[kind] = CellGenotype(tuple(nodes), tuple(filled[2:]))
    return Genotype(cells)


@given(ragged())
def test_triples_round_trip(genotype):
    assert Genotype.from_text(genotype.to_triples()) == genotype


def test_what_triples_cannot_say():
    cell = ADARTS_V1.cells["normal"]
    for changed in (CellGenotype(cell.nodes, (3, 4, 5)), CellGenotype((*cell.nodes, ()), cell.concat)):
        genotype = Genotype({"normal": cell, "reduction": changed})
        refused(lambda _, genotype=genotype: genotype.to_triples(), "", "of the reduction cell; use JSON")
    refused(lambda _: random_genotype(NASBENCH201, 0).to_triples(), "", "space 'nasbench201'")


def test_a_configuration_of_nas_bench_301(tmp_path):
    genotype = Genotype.from_dict(CONFIGURATION)
    assert genotype.cells["normal"].nodes == (
        (("max_pool_3x3", 0), ("sep_conv_5x5", 1)),
        (("avg_pool_3x3", 0), ("avg_pool_3x3", 1)),
        (("avg_pool_3x3", 0), ("avg_pool_3x3", 1)),
        (("dil_conv_3x3", 2), ("skip_connect", 3)),
    )
    assert genotype.cells["reduction"].nodes[2:] == (
        (("dil_conv_5x5", 0), ("avg_pool_3x3", 2)),
        (("max_pool_3x3", 1), ("dil_conv_3x3", 3)),
    )
    assert genotype.to_nasbench301() == CONFIGURATION
    more = {"OptimizerSelector:optimizer": "sgd", f"{PREFIX}layers": 20, f"{PREFIX}init_channels": 36, **CONFIGURATION}
    assert Genotype.from_dict(more) == genotype
    result = {"budget": 98, "info": [{"x": 1}], RESULT: more}
    (tmp_path / "results_0.json").write_text(json.dumps(result))
    assert load_genotype(tmp_path / "results_0.json") == genotype


@given(st.integers(0, 10_000))
def test_nas_bench_301_round_trip(seed):
    genotype = random_genotype(DARTS, seed)
    configuration = genotype.to_nasbench301()
    assert Genotype.from_json(json.dumps(configuration)) == genotype  # random cells have the lower source first
    assert len(configuration) == 2 * (8 + 3)


def test_the_order_of_pairs_is_no_part_of_a_configuration():
    back = Genotype.from_dict(ADARTS_V1.to_nasbench301())
    for kind, cell in ADARTS_V1.cells.items():
        assert [sorted(node) for node in back.cells[kind].nodes] == [sorted(node) for node in cell.nodes]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"edge_normal_0": None}, "edge_normal_0 must name an operation, not None"),
        ({"edge_normal_0": "none"}, "not 'none'"),
        ({"edge_normal_0": "sep_conv_3x4"}, "did you mean 'sep_conv_3x3'"),
        ({"edge_normal_0": ["sep_conv_3x3"]}, "must name an operation"),
        ({"edge_normal_13": "sep_conv_3x3"}, "or no node reads along this edge"),
        ({"edge_normal_99": "sep_conv_3x3"}, "or no node reads along this edge"),
        ({"inputs_node_normal_6": "0_1"}, "no such node"),
        ({"inputs_node_normal_3": None}, "must name two nodes before 3"),
        ({"inputs_node_normal_3": "1_0"}, "must name two nodes before 3"),
        ({"inputs_node_normal_3": "1_1"}, "must name two nodes before 3"),
        ({"inputs_node_normal_3": "0_3"}, "must name two nodes before 3"),
        ({"inputs_node_normal_3": "0_1_2"}, "must name two nodes before 3"),
        ({"inputs_node_normal_3": 5}, "must name two nodes before 3"),
        ({"inputs_node_normal_3": "x" * 100_000}, "must name two nodes before 3"),
    ],
)
def test_wrong_configurations(change, match):
    changed = CONFIGURATION | {PREFIX + name: value for name, value in change.items()}
    refused(Genotype.from_dict, {name: value for name, value in changed.items() if value is not None}, match)


def test_what_nas_bench_301_does_not_have():
    cell = ADARTS_V1.cells["normal"]
    pairs = (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))
    for nodes in (cell.nodes[:3], (pairs[:1], *cell.nodes[1:]), ((pairs[0], pairs[0]), *cell.nodes[1:])):
        genotype = Genotype({"normal": cell, "reduction": CellGenotype(nodes, tuple(range(2, 2 + len(nodes))))})
        refused(lambda _, genotype=genotype: genotype.to_nasbench301(), "")
    odd = Genotype(
        {"normal": cell, "reduction": CellGenotype((pairs, pairs, pairs, (pairs[0], ("none", 1))), (2, 3, 4, 5))}
    )
    refused(lambda _: odd.to_nasbench301(), "", "reduction cell, node 5")
    short = Genotype({"normal": cell, "reduction": CellGenotype(cell.nodes, (4, 5))})
    refused(lambda _: short.to_nasbench301(), "", r"has the outputs \(4, 5\)")
    refused(lambda _: random_genotype(NASBENCH201, 0).to_nasbench301(), "", "NAS-Bench-301 cannot represent")


HOSTILE = [
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', __import__('os'), 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', [].__class__, 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "print(1)"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2, 0, 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 0, 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2, 2"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2, 9999"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 9999, 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x4', 2, 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "2, 'sep_conv_3x3', 0"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2, -1"),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2" + "(0)" * 3, 1),
    TRIPLES.replace("'sep_conv_3x3', 2, 0", "'sep_conv_3x3', 2, \0", 1),
    TRIPLES.replace("normal=", "normal_concat="),
    TRIPLES.replace("reduce=[", "normal=["),
    TRIPLES.replace("], reduce", "], normal_concat=[], reduce"),
    TRIPLES.replace("('none', 3, 0)", "('none', 3)"),
    "Genotype(normal=[], reduce=[])",
    "Genotype(normal=[" + "('none', 2, 0), " * 600_000 + "], reduce=[])",
    "Genotype(normal=" + "[" * 10_000 + "]" * 10_000 + ", reduce=[])",
    json.dumps({f"{PREFIX}edge_normal_0": "x" * 10_000_000}),
    json.dumps({RESULT: {f"{PREFIX}edge_normal_0": [[[[[[["sep_conv_3x3"]]]]]]]}}),
    json.dumps({RESULT: [CONFIGURATION]}),
    json.dumps(CONFIGURATION).replace("0_1", "0_1\\u0000"),
    json.dumps(CONFIGURATION)[:-1],
    '{"a":' * 50_000 + "1" + "}" * 50_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_in_one_line_and_at_once(text):
    start = time.process_time()
    refused(Genotype.from_json if text.startswith("{") else Genotype.from_text, text)
    assert time.process_time() - start < 1


@given(
    st.integers(0, len(TRIPLES)),
    st.integers(0, 30),
    st.one_of(
        st.text(max_size=8),
        st.text(string.printable, max_size=8),
        st.sampled_from(["(", "[", "2, ", "range(2, 6)", "'none'"]),
    ),
)
@settings(max_examples=500)
def test_damaged_triples_are_a_genotype_or_a_data_error(start, length, inserted):
    damaged = TRIPLES[:start] + inserted + TRIPLES[start + length :]
    try:
        genotype = Genotype.from_text(damaged)
    except DataError as error:
        assert str(error).isprintable() and len(str(error)) < 400
    else:
        assert Genotype.from_json(genotype.to_json()) == genotype


@given(
    st.sampled_from(sorted(CONFIGURATION)),
    st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text(), max_size=2)),
)
@settings(max_examples=300)
def test_damaged_configurations_are_a_genotype_or_a_data_error(key, value):
    try:
        genotype = Genotype.from_dict(CONFIGURATION | {key: value})
    except DataError as error:
        assert str(error).isprintable() and len(str(error)) < 400
    else:
        assert genotype.to_nasbench301() == CONFIGURATION | {key: value}


CELLS = {name: ADARTS_V1.cells[kind] for kind, name in (("normal", "normal"), ("reduction", "reduce"))}
ROWS = {name: [list(pairs) for pairs in cell.nodes] for name, cell in CELLS.items()}
FLAT = {name: [pair for pairs in nodes for pair in pairs] for name, nodes in ROWS.items()}


def text_of(of: dict[str, object]) -> str:
    return (
        f"Genotype(normal={of['normal']}, normal_concat=range(2, 6), reduce={of['reduce']}, reduce_concat=range(2, 6))"
    )


def nni(source: object = int) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, nodes in ROWS.items():
        for node, pairs in enumerate(nodes, 2):
            for edge, (operation, entered) in enumerate(pairs):
                found[f"{name}/op_{node}_{edge}"] = operation
                found[f"{name}/input_{node}_{edge}"] = [entered] if source is list else entered
    return found


FIELDS = {
    "normal": FLAT["normal"],
    "normal_concat": [2, 3, 4, 5],
    "reduce": FLAT["reduce"],
    "reduce_concat": [2, 3, 4, 5],
}
PLAIN = text_of(FLAT)
SPELLINGS = {
    "a line of a log": "2024-01-31 08:15:00,123 genotype = " + PLAIN,
    "another time": "01/31 08:15:00 AM genotype = " + PLAIN,
    "a list for each node": text_of(ROWS),
    "a tuple for each node": text_of({name: [tuple(pairs) for pairs in nodes] for name, nodes in ROWS.items()}),
    "numbers of NumPy": re.sub(r", (\d)\)(?=[,\]])", r", np.int64(\1))", PLAIN),
    "an export of NNI": json.dumps(nni(list)),
    "the same with plain numbers": json.dumps(nni()),
    "fields in JSON": json.dumps(FIELDS),
    "fields as Python writes them": repr(FIELDS),
    "fields by their order": json.dumps(list(FIELDS.values())),
    "a comment": PLAIN + "  # 97.2",
    "the module": "genotypes.models.Genotype" + PLAIN.removeprefix("Genotype"),
    "a tuple of a range": PLAIN.replace("range(2, 6)", "tuple(range(2, 6))"),
    "a file of cells": "from collections import namedtuple\n\n# ours\nGenotype = namedtuple('Genotype', 'normal "
    f"normal_concat reduce reduce_concat')\nMINE = {PLAIN}\n",
    "a line that goes on": "MINE = \\\n    " + PLAIN,
    "a text": repr(PLAIN),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_others_write_around_the_same_cells(spelling, tmp_path):
    (tmp_path / "cells").write_text(SPELLINGS[spelling])
    assert load_genotype(tmp_path / "cells") == Genotype.from_text(PLAIN) == ADARTS_V1


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            json.dumps({**nni(), "normal/op_2_0": 3}),
            "normal/op_2_0 and normal/input_2_0 must be an operation and a node",
        ),
        (json.dumps({**nni(), "normal/input_2_0": [0, 1]}), "must be an operation and a node"),
        (json.dumps({**nni(), "normal/op_6_0": "none"}), "'normal/op_6_0' is no edge"),
        (json.dumps({**FIELDS, "more": []}), "expected the fields"),
        (json.dumps({**FIELDS, "normal": 3}), "must be lists"),
        (json.dumps([1, 2, 3, 4]), "must be lists"),
        (text_of({**ROWS, "normal": [ROWS["normal"][0][:1], *ROWS["normal"][1:]]}), "a node without two pairs"),
        (repr(FIELDS)[:-1] + ", 'normal': []}", "a field is given twice"),
        ("{'normal': __import__('os')}", 'at "__import__'),
        ("import os\nos.system('x')", "neither JSON nor"),
        ("from os import system\n" + PLAIN + "\n" + PLAIN, "expected one"),
    ],
)
def test_other_texts_around_cells_are_refused(text, match, tmp_path):
    (tmp_path / "cells").write_text(text)
    refused(load_genotype, tmp_path / "cells", match)


def test_long_texts_around_cells_take_no_time():
    start = time.perf_counter()
    for text in ("#\n" * 30_000, "\n#" * 30_000, "# " * 30_000, "x." * 30_000, "=" + " " * 60_000 + "\\", "1" * 60_000):
        refused(Genotype.from_text, text + "!")
    assert time.perf_counter() - start < 2
