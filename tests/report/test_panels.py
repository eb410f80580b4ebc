"""Small charts side by side, read back from their SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from adarts.report.panels import Panel, panels_svg

SVG = "{http://www.w3.org/2000/svg}"


def paths(group: ElementTree.Element, css: str) -> list[list[tuple[float, float]]]:
    found = [node.attrib["d"] for node in group.iter(f"{SVG}path") if node.attrib["class"] == css]
    return [[tuple(map(float, pair.split(","))) for pair in re.findall(r"[\d.]+,[\d.]+", path)] for path in found]  # type: ignore[misc]


def test_lines_and_their_mean() -> None:
    panels = [Panel("a <method>", [[90.0, 80.0, 100.0], [94.0, 90.0]]), *[Panel("b", [[85.0]])] * 3]
    root = ElementTree.fromstring(panels_svg("title & more", "legend", panels, low=80, high=100, rule=90))
    groups = list(root.iter(f"{SVG}g"))
    assert [group.find(f"{SVG}text").text for group in groups] == ["a <method>", "b", "b", "b"]  # type: ignore[union-attr]
    assert len({group.attrib["transform"] for group in groups}) == 4
    # 120 units for 20 points; the second search ended early, so the last mean is the first search's own.
    assert paths(groups[0], "one") == [[(0, 60), (100, 120), (200, 0)], [(0, 36), (100, 60)]]
    assert paths(groups[0], "mean") == [[(0, 48), (100, 90), (200, 0)]]


@pytest.mark.parametrize("value", [0.0, 10.0, 100.0, 120.0])
def test_what_is_beyond_the_axis_lies_at_its_ends(value: float) -> None:
    root = ElementTree.fromstring(panels_svg("t", "l", [Panel("a", [[value, value]])], low=80, high=95, rule=90))
    assert paths(root, "one") == [[(0, 0 if value > 95 else 120), (200, 0 if value > 95 else 120)]]
