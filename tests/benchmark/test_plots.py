from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from adarts.benchmark.plots import Bars, Curve, Panel, bars_svg, panels_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    drawing = ET.fromstring(bars_svg("<time>", [Bars("both", [("a & b", 1.0, "1 s"), ("c", 4.0, "4 s")])]))
    first, second = (float(bar.attrib["width"]) for bar in drawing.findall(f"{SVG}rect")[1:])
    assert second == 4 * first
    texts = [text.text for text in drawing.findall(f"{SVG}text")]
    assert {"<time>", "a & b", "4 s"} <= set(texts)


def test_a_power_law_is_a_straight_line() -> None:
    curve = Curve("time, exponent 2.00", [(x, 5 * x**2) for x in (1, 2, 8)])
    drawing = ET.fromstring(panels_svg("growth", [Panel("k", [curve])]))
    (path,) = (path.attrib["d"] for path in drawing.findall(f"{SVG}path") if "line" in path.attrib["class"])
    (x0, y0), (x1, y1), (x2, y2) = ((float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", path))
    assert y0 > y1 > y2  # upwards is smaller in SVG
    assert abs((y1 - y0) / (x1 - x0) - (y2 - y0) / (x2 - x0)) < 0.01


def test_what_does_not_grow_can_be_drawn() -> None:
    ET.fromstring(panels_svg("growth", [Panel("cells", [Curve("time", [(3, 1.0), (6, 1.0)])])]))
