import ast
import json
import os
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adarts.errors import DataError
from adarts.models import OPERATIONS
from adarts.spaces import DARTS, CellGenotype, Genotype, load_genotype, random_genotype
from published import ADARTS_V1

from .refusals import refused

SIMPLE = (("skip_connect", 0), ("sep_conv_3x3", 1))
VALID = ADARTS_V1.to_text()


@st.composite
def cell_genotypes(draw, pairs_per_node=None):
    nodes = []
    for node in range(2, 2 + draw(st.integers(1, 6))):
        pair = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, node - 1))
        sizes = {"min_size": 1, "max_size": 4} if pairs_per_node is None else dict.fromkeys(("min_size", "max_size"), 2)
        nodes.append(tuple(draw(st.lists(pair, **sizes))))
    concat = draw(st.lists(st.integers(2, len(nodes) + 1), min_size=1, unique=True))
    return CellGenotype(tuple(nodes), tuple(concat))


def genotypes(pairs_per_node=None):
    cells = {kind: cell_genotypes(pairs_per_node) for kind in DARTS.cell_kinds}
    return st.fixed_dictionaries(cells).map(Genotype)


@given(genotypes())
def test_json_round_trip(genotype):
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert hash(Genotype.from_json(genotype.to_json())) == hash(genotype)


@given(genotypes(pairs_per_node=2))
def test_text_round_trip(genotype):
    assert Genotype.from_text(genotype.to_text()) == genotype


def test_the_text_is_the_original_codes():
    assert VALID.startswith("Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0),")
    assert VALID.endswith("reduce_concat=[2, 3, 4, 5])")
    for form in ("range(2, 6)", "list(range(2, 6))", "(2, 3, 4, 5)", "[\n 2,3,4,5,\n]"):
        assert Genotype.from_text(f" \n my_CELL2 = {VALID.replace('[2, 3, 4, 5]', form)}\n") == ADARTS_V1
    assert Genotype.from_text(VALID.replace("'", '"').replace(", (", ",\n(")) == ADARTS_V1


def test_counts():
    assert ADARTS_V1.num_operations("normal", "skip_connect") == 2
    assert ADARTS_V1.num_operations("normal", "sep_conv_3x3", "dil_conv_3x3") == 5
    assert ADARTS_V1.num_weight_free("normal") == 3
    assert ADARTS_V1.num_weight_free("reduction") == 5


def test_random_genotypes_are_seeded_uniform_and_valid():
    drawn = [random_genotype(DARTS, seed) for seed in range(200)]
    assert drawn[3] == random_genotype(DARTS, 3)
    assert len(set(drawn)) == 200
    nodes = [pairs for genotype in drawn for cell in genotype.cells.values() for pairs in cell.nodes]
    assert all(len({source for _, source in pairs}) == 2 for pairs in nodes)
    names = [name for pairs in nodes for name, _ in pairs]
    assert set(names) == set(DARTS.operations) - {"none"}
    assert all(names.count(name) == pytest.approx(len(names) / 7, rel=0.15) for name in set(names))


def test_many_pairs_duplicates_none_and_unread_empty_nodes_are_allowed():
    cell = CellGenotype((SIMPLE * 3, (), (("none", 2),)), (2, 4))
    genotype = Genotype({"normal": cell, "reduction": cell})
    assert Genotype.from_json(genotype.to_json()) == genotype
    refused(lambda _: genotype.to_text(), "", "two pairs per node; use the JSON form")


@pytest.mark.parametrize(
    ("nodes", "concat", "match"),
    [
        (((("sep_conv_3x4", 0),),), (2,), "node 2: unknown operation 'sep_conv_3x4'.* did you mean 'sep_conv_3x3'"),
        ((SIMPLE, (("none", 3),)), (2,), r"node 3: source 3 is not before it \(0 to 2\)"),
        (((("none", -1),),), (2,), "source -1"),
        (((), (("none", 2),)), (3,), "no edge enters its source 2"),
        ((SIMPLE, ()), (2, 3), "concat names node 3, which no edge enters"),
        ((SIMPLE,), (), "concat"),
        ((SIMPLE,), (2, 2), "different nodes"),
        ((SIMPLE,), (1, 2), "concat names node 1, outside 2 to 2"),
        ((SIMPLE,), (3,), "concat names node 3"),
        ((), (2,), "concat"),
    ],
)
def test_impossible_cells(nodes, concat, match):
    good = CellGenotype((SIMPLE,), (2,))
    refused(lambda _: Genotype({"normal": good, "reduction": CellGenotype(nodes, concat)}), "", match)


def test_impossible_genotypes():
    good = CellGenotype((SIMPLE,), (2,))
    refused(lambda _: Genotype({"normal": good}), "", "needs normal, reduction")
    refused(lambda _: Genotype({"normal": good, "reduction": good, "reduce": good}), "")
    refused(lambda _: Genotype({"normal": good, "reduction": good}, "dart"), "", "did you mean 'darts'")


HOSTILE_TEXT = [
    "",
    "Genotype",
    "Genotype()",
    "Genotype(1)",
    "__import__('os').system('touch pwned')",
    "Genotype(normal=__import__('os').system('touch pwned'), normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(**{})",
    "Genotype(*range(4))",
    VALID + "; print(1)",
    VALID + ".normal",
    VALID + "\n" + VALID,
    VALID + "()",
    "a = b = " + VALID,
    "range = list = " + VALID,
    VALID.replace("[2, 3, 4, 5]", "range(0, 999999999)"),
    VALID.replace("[2, 3, 4, 5]", "range(2, 9999)"),
    VALID.replace("[2, 3, 4, 5]", "range(2, 6, 1)"),
    VALID.replace("[2, 3, 4, 5]", "list(list)"),
    VALID.replace("[2, 3, 4, 5]", "[02]"),
    VALID.replace("[2, 3, 4, 5]", "[" + "9" * 5000 + "]"),
    VALID.replace("[2, 3, 4, 5]", "2" + "(2)" * 20_000),
    VALID.replace("'sep_conv_3x3', 1", "'sep_conv_3x3'" + "[1]" * 20_000, 1),
    VALID.replace("'sep_conv_3x3', 1", "'sep_conv_3x3', 'sep_conv_3x3'", 1),
    VALID.replace("'sep_conv_3x3', 1", "1, 1", 1),
    VALID.replace("'sep_conv_3x3', 1", "'sep_conv_3x3', 1, 1", 1),
    VALID.replace("('sep_conv_3x3', 1), ", "", 1),
    VALID.replace("'sep_conv_3x3'", "f'{1}'"),
    VALID.replace("'sep_conv_3x3', 1", "'sep_conv_3x3', 7", 1),
    VALID.replace("reduce=", "normal=").replace("reduce_", "normal_"),
    VALID[:-1],
    VALID + ")",
    "[" * 60_000,
    "(" * 100 + ")" * 100,
    "x" * 10_000_000,
    "-" * 60_000,
    "Genotype" + "\n" * 60_000 + "!",
    "lambda:" * 5000,
    "Genotype(\0)",
    "Génotype(normal=[])",
    "\ud800",
    "\r\n\u2028\x1b[31mred",
]


@pytest.mark.parametrize("text", HOSTILE_TEXT, ids=range(len(HOSTILE_TEXT)))
def test_hostile_text_is_refused_in_one_line(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(Genotype.from_text, text)
    assert not list(tmp_path.iterdir())


def harmless(read, text):
    try:
        return read(text)
    except DataError as error:
        assert str(error).isprintable() and len(str(error)) < 400
        return None


WORDS = [
    "Genotype",
    "normal",
    "normal_concat",
    "reduce",
    "range",
    "list",
    "(",
    ")",
    "[",
    "]",
    ",",
    "=",
    "'none'",
    "3",
    " ",
]


@given(st.one_of(st.text(), st.text(string.printable), st.lists(st.sampled_from(WORDS)).map("".join)))
@settings(max_examples=500)
@example("Genotype(normal=[],normal_concat=[],reduce=[],reduce_concat=[])")
def test_any_text_is_a_genotype_or_a_data_error(text):
    assert harmless(Genotype.from_text, text) is None
    assert harmless(Genotype.from_json, text) is None


@given(st.integers(0, len(VALID)), st.integers(0, 30), st.one_of(st.text(max_size=8), st.sampled_from(WORDS)))
@settings(max_examples=500)
def test_damaged_text_is_a_genotype_or_a_data_error(start, length, inserted):
    damaged = VALID[:start] + inserted + VALID[start + length :]
    genotype = harmless(Genotype.from_text, damaged)
    if genotype is not None:
        assert Genotype.from_text(genotype.to_text()) == genotype


def test_nothing_is_evaluated(monkeypatch):
    for name in ("eval", "exec"):
        monkeypatch.setattr(f"builtins.{name}", lambda *_: pytest.fail("evaluated"))
    monkeypatch.setattr(ast, "literal_eval", lambda *_: pytest.fail("evaluated"))
    assert Genotype.from_text(VALID) == ADARTS_V1


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just("sep_conv_3x3")),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=10,
)


@given(st.data(), JSON_VALUES)
@settings(max_examples=500)
def test_damaged_json_is_a_genotype_or_a_data_error(data, value):
    document = ADARTS_V1.to_dict()
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = value
            break
        place = place[key]
    harmless(Genotype.from_json, json.dumps(document))
    harmless(Genotype.from_dict, document)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "format is 'other'"),
        ({"version": 2}, "version 2 is unknown"),
        ({"version": "1"}, "version '1' is unknown"),
        ({"space": "darrts"}, "did you mean 'darts'"),
        ({"space": 3}, "must be a name"),
        ({"cells": []}, "must be an object"),
        ({"extra": 1}, "expected the fields"),
    ],
)
def test_wrong_json_fields(change, match):
    refused(Genotype.from_json, json.dumps(ADARTS_V1.to_dict() | change), match)


@pytest.mark.parametrize("text", ["[" * 60_000, "9" * 60_000, "{" * 13, "[]", "null", '{"a": NaN}', " " * 70_000])
def test_hostile_json(text):
    refused(Genotype.from_json, text)


def test_load_either_form(tmp_path):
    for name, text in (("a.json", ADARTS_V1.to_json()), ("b.txt", f"V1 = {VALID}\n"), ("bom.txt", "\ufeff" + VALID)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert load_genotype(tmp_path / name) == ADARTS_V1


def test_files_that_hold_no_genotype(tmp_path):
    binary, wrong = tmp_path / "binary", tmp_path / "wrong.txt"
    binary.write_bytes(os.urandom(1000) + b"\xff")
    wrong.write_text("hello")
    refused(load_genotype, tmp_path / "missing", "No such file")
    refused(load_genotype, tmp_path, "Is a directory")
    refused(load_genotype, binary, "not a text file")
    refused(load_genotype, wrong, "wrong.txt")
    refused(load_genotype, "/dev/zero", "longer than 64 kB")
    refused(load_genotype, "a\0b", "not a")
