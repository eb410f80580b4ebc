from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adarts.errors import DataError
from adarts.report import cell_svg, layout
from adarts.report.layout import Arrow, Layout, graphviz_layout, layout_program, plain_layout
from adarts.spaces import DARTS, CellGenotype, Genotype, random_genotype

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str, css: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text") if node.attrib["class"] == css]


@pytest.fixture(params=["graphviz", "plain"])
def any_layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(layout, "layout_program", lambda: None)
    elif layout_program() is None:
        pytest.skip("no Graphviz program here")


@pytest.mark.usefixtures("any_layout")
@pytest.mark.parametrize("kind", DARTS.cell_kinds)
def test_a_drawing_shows_every_node_and_operation(kind: str) -> None:
    genotype = random_genotype(DARTS, seed=3)
    svg = cell_svg(genotype, kind)
    assert texts(svg, "name") == ["ck−2", "ck−1", "0", "1", "2", "3", "ck"]
    expected = [operation for pairs in genotype.cells[kind].nodes for operation, _ in pairs]
    assert texts(svg, "operation") == expected
    arrows = [node for node in ElementTree.fromstring(svg).iter(f"{SVG}path") if "fill: none" in node.attrib["style"]]
    assert len(arrows) == len(expected) + len(genotype.cells[kind].concat)


@pytest.mark.usefixtures("any_layout")
def test_unusual_cells_are_drawn() -> None:
    twice = (("skip_connect", 0), ("skip_connect", 0), ("sep_conv_3x3", 0))
    cell = CellGenotype((twice, (("max_pool_3x3", 2),)), (3,))
    genotype = Genotype({"normal": cell, "reduction": cell})
    assert texts(cell_svg(genotype, "normal"), "operation") == [*(name for name, _ in twice), "max_pool_3x3"]


@pytest.mark.usefixtures("any_layout")
def test_a_node_that_nothing_enters_is_not_drawn() -> None:
    cell = CellGenotype(((), (("skip_connect", 0), ("sep_conv_3x3", 0)), (), (("max_pool_3x3", 3),)), (3, 5))
    svg = cell_svg(Genotype({"normal": cell, "reduction": cell}), "normal")
    assert texts(svg, "name") == ["ck−2", "ck−1", "1", "3", "ck"]
    assert "c(k−2) to 1: skip_connect" in svg and "1 to 3: max_pool_3x3" in svg


@pytest.mark.usefixtures("any_layout")
def test_everything_stands_within_the_picture() -> None:
    genotype = random_genotype(DARTS, seed=7)
    root = ElementTree.fromstring(cell_svg(genotype, "normal"))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for node in root.iter():
        if "y" in node.attrib:
            assert 0 <= float(node.attrib["x"]) <= width
            assert 0 <= float(node.attrib["y"]) <= height


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(DataError, match="did you mean 'normal'"):
        cell_svg(random_genotype(DARTS, seed=0), "norml")


@pytest.mark.parametrize("script", ["exit 1", "echo 'no graph at all'", "echo 'node 0 a b'"])
def test_a_broken_program_falls_back_to_the_plain_layout(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(layout, "layout_program", lambda: str(program))
    assert texts(cell_svg(random_genotype(DARTS, seed=0), "normal"), "name")


def test_graphviz_says_what_is_wrong() -> None:
    with pytest.raises((OSError, subprocess.SubprocessError)):
        graphviz_layout("/nonexistent/dot", 2, [])


def overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return abs(first[0] - second[0]) < 60 and abs(first[1] - second[1]) < 10


@pytest.mark.parametrize("seed", range(8))
def test_labels_of_the_plain_layout_keep_apart(seed: int) -> None:
    cell = random_genotype(DARTS, seed).cells["normal"]
    arrows = [Arrow(source, 2 + node, name) for node, pairs in enumerate(cell.nodes) for name, source in pairs]
    arrows += [Arrow(source, 6) for source in cell.concat]
    plan: Layout = plain_layout(7, 2, arrows)
    labels = [label for label in plan.labels if label]
    assert len(labels) == 8
    assert not any(overlap(a, b) for index, a in enumerate(labels) for b in labels[:index])
    assert len(set(plan.boxes.values())) == 7


@pytest.mark.usefixtures("any_layout")
def test_a_node_that_nothing_enters_is_shown_where_it_is_read() -> None:
    genotype = Genotype.from_text("|none~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|")
    svg = cell_svg(genotype, "normal")
    assert texts(svg, "name") == ["ck−1", "0", "1", "2", "ck"]
    assert texts(svg, "operation") == ["skip_connect", "nor_conv_3x3"]
    nothing = Genotype.from_text("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert texts(cell_svg(nothing, "normal"), "name") == ["ck−1", "2", "ck"]
