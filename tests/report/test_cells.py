from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from adarts.errors import DataError
from adarts.report import cell_svg, cells
from adarts.spaces import DARTS, CellGenotype, Genotype, random_genotype

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str, css: str) -> list[str]:
    groups = (node for node in ElementTree.fromstring(svg).iter(f"{SVG}g") if node.attrib.get("class") == css)
    found = ["".join("".join(text.itertext()) for text in group.iter(f"{SVG}text")).strip() for group in groups]
    return [text for text in found if text]


@pytest.mark.parametrize("kind", DARTS.cell_kinds)
def test_a_drawing_shows_every_node_and_operation(kind: str) -> None:
    genotype = random_genotype(DARTS, seed=3)
    svg = cell_svg(genotype, kind)
    assert texts(svg, "node") == ["ck−2", "ck−1", "0", "1", "2", "3", "ck"]
    expected = [operation for pairs in genotype.cells[kind].nodes for operation, _ in pairs]
    assert sorted(texts(svg, "edge")) == sorted(expected)
    arrows = [node for node in ElementTree.fromstring(svg).iter(f"{SVG}path") if "fill: none" in node.attrib["style"]]
    assert len(arrows) == len(expected) + len(genotype.cells[kind].concat)


def test_unusual_cells_are_drawn() -> None:
    twice = (("skip_connect", 0), ("skip_connect", 0), ("sep_conv_3x3", 0))
    cell = CellGenotype((twice, (("max_pool_3x3", 2),)), (3,))
    genotype = Genotype({"normal": cell, "reduction": cell})
    assert texts(cell_svg(genotype, "normal"), "edge") == [*(name for name, _ in twice), "max_pool_3x3"]


def test_a_node_that_nothing_enters_is_not_drawn() -> None:
    cell = CellGenotype(((), (("skip_connect", 0), ("sep_conv_3x3", 0)), (), (("max_pool_3x3", 3),)), (3, 5))
    svg = cell_svg(Genotype({"normal": cell, "reduction": cell}), "normal")
    assert texts(svg, "node") == ["ck−2", "ck−1", "1", "3", "ck"]
    assert "c(k−2) to 1: skip_connect" in svg and "1 to 3: max_pool_3x3" in svg


def test_everything_stands_within_the_picture() -> None:
    genotype = random_genotype(DARTS, seed=7)
    root = ElementTree.fromstring(cell_svg(genotype, "normal"))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    (move,) = (node.attrib["transform"] for node in root.iter() if "transform" in node.attrib)
    dx, dy = map(float, move.split("translate(")[1].rstrip(")").split())
    places = [node for node in root.iter() if "y" in node.attrib]
    assert len(places) > 8
    for node in places:
        assert 0 <= float(node.attrib["x"]) + dx <= width
        assert 0 <= float(node.attrib["y"]) + dy <= height


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(DataError, match="did you mean 'normal'"):
        cell_svg(random_genotype(DARTS, seed=0), "norml")


@pytest.mark.parametrize("script", ["exit 1", "echo 'no graph at all'", "echo '<svg>'", None])
def test_a_broken_program_leaves_the_cell_as_text(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dot"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setattr(cells, "layout_program", lambda: str(program))
    genotype = random_genotype(DARTS, seed=0)
    lines = [node.text for node in ElementTree.fromstring(cell_svg(genotype, "normal")).iter(f"{SVG}text")]
    assert lines == cells.cell_lines(genotype, "normal")


def overlap(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return abs(first[0] - second[0]) < 60 and abs(first[1] - second[1]) < 10


@pytest.mark.parametrize("seed", range(8))
def test_labels_keep_apart(seed: int) -> None:
    root = ElementTree.fromstring(cell_svg(random_genotype(DARTS, seed), "normal"))
    groups = [node for node in root.iter(f"{SVG}g") if node.attrib.get("class") == "edge"]
    labels = [(float(t.attrib["x"]), float(t.attrib["y"])) for group in groups for t in group.iter(f"{SVG}text")]
    assert len(labels) == 8
    assert not any(overlap(a, b) for index, a in enumerate(labels) for b in labels[:index])


def test_a_node_that_nothing_enters_is_shown_where_it_is_read() -> None:
    genotype = Genotype.from_text("|none~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|")
    svg = cell_svg(genotype, "normal")
    assert texts(svg, "node") == ["ck−1", "0", "1", "2", "ck"]
    assert texts(svg, "edge") == ["skip_connect", "nor_conv_3x3"]
    nothing = Genotype.from_text("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert texts(cell_svg(nothing, "normal"), "node") == ["ck−1", "2", "ck"]
