from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from adarts.report.scatter import Dot, scatter_svg

SVG = "{http://www.w3.org/2000/svg}"
KINDS = ["sample"] * 5 + ["found", "first"]


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1.0, 80.0])
def test_all_dots_lie_inside(spread: float) -> None:
    dots = [Dot(10 + spread * i, 90 - spread * i, kind, f"cell {i} <&>") for i, kind in enumerate(KINDS)]
    text = scatter_svg("a <title>", "x", "y", dots)
    root = ElementTree.fromstring(text)
    marks = [node for node in root.iter(f"{SVG}g") if "mark" in node.attrib["class"].split()]
    assert len(marks) == len(KINDS)
    assert sum(node.find(f"{SVG}circle") is not None for node in marks) == 5  # the frequent kind is discs
    for mark in marks:
        shape = mark.find(f"{SVG}circle")
        x, y = (
            (float(shape.attrib["cx"]), float(shape.attrib["cy"]))
            if shape is not None
            else map(float, re.findall(r"[\d.]+", mark.find(f"{SVG}path").attrib["d"])[:2])  # type: ignore[union-attr]
        )
        assert 62 <= x <= 544 and 54 <= y <= 354
    assert [node.text for node in root.iter(f"{SVG}text")][:4] == ["a <title>", "sample", "first", "found"]
