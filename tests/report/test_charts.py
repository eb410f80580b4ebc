"""Charts and scatter plots, read back from their SVG."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from adarts.models import OPERATIONS as KNOWN
from adarts.report.charts import Chart, Dot, Rule, Series, draw, percent, scatter
from adarts.report.drawing import inline
from adarts.report.numbers import Spread, count, duration
from adarts.report.palette import (
    ALARM,
    DARK,
    GRID,
    GROUND,
    INK,
    MUTED,
    OPERATIONS,
    OTHERS,
    SERIES,
    SHADE,
    look,
    series_look,
)

SVG = "{http://www.w3.org/2000/svg}"
BLUE = series_look(0)


def luminance(color: str) -> float:
    channels = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", [*OPERATIONS.values(), *OTHERS, *SERIES, INK, MUTED, ALARM])
def test_lines_and_words_can_be_read_on_both_grounds(style) -> None:
    assert contrast(style.light, GROUND.light) >= 4.5
    assert contrast(style.dark, GROUND.dark) >= 4.5


def test_operations_differ_and_unknown_ones_have_a_look() -> None:
    assert len({(style.light, style.dash) for style in OPERATIONS.values()}) == len(OPERATIONS)
    assert all(look(name) for name in KNOWN)
    assert look("an operation of tomorrow") in OTHERS


def one(*runs: list[float | None], title: str = "t", **how) -> ElementTree.Element:
    return ElementTree.fromstring(draw([Chart(title, [Series("a", BLUE, runs)], **how)]).svg())


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path)]


def curves(root: ElementTree.Element, color: str = BLUE.light) -> list[list[list[tuple[float, float]]]]:
    """The paths of the plot in a color, each as its unbroken pieces; the line of the legend is the last, and left out."""
    found = [p for p in root.iter(f"{SVG}path") if f"stroke: {color}" in p.attrib.get("style", "")]
    return [[points(f"M{piece}") for piece in p.attrib["d"].split("M")[1:]] for p in found][:-1]


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def test_a_curve_fills_its_frame_and_says_its_last_value() -> None:
    root = one([0.0, 1.0], high=1.0, words=percent)
    ((((x0, y0), (x1, y1)),),) = curves(root)
    assert x1 - x0 > 280 and y0 - y1 == pytest.approx(150)
    assert {"t", "a 100 %", "0 %", "50 %"} <= set(texts(root))
    assert root.attrib["aria-label"] == "t: a 100 %"


def test_gaps_break_lines_and_leave_dots() -> None:
    line, dot = curves(one([None, 1, 2, None, 3, None]))
    assert [len(piece) for piece in line] == [2] or [len(piece) for piece in line] == [2, 1]
    assert len({*dot[0]}) == 1


def test_seeds_are_their_mean_in_a_band_from_the_lowest_to_the_highest() -> None:
    root = one([0.0, 4.0, 2.0], [2.0, 0.0], high=4.0)  # the second ended early: the last mean is the first's own
    (mean,) = curves(root)
    height = 150 / 4
    assert [mean[0][0][1] - y for _, y in mean[0]] == pytest.approx([0, height, height])  # 1, 2, 2
    (band,) = (p for p in root.iter(f"{SVG}path") if f"fill: {BLUE.light}" in p.attrib.get("style", ""))
    ys = {round(mean[0][0][1] + height - y, 3) for _, y in points(band.attrib["d"])}
    assert ys == {0, round(2 * height, 3), round(4 * height, 3)}


def test_a_band_may_hold_the_middle_half_of_the_runs_and_values_may_stand_at_any_place() -> None:
    runs = [[float(value)] * 3 for value in range(9)]  # quartiles 2 and 6, mean 4
    chart = Chart("t", [Series("a", BLUE, runs, inside=0.5)], high=8.0, places=[100, 200, 400], across="seconds")
    root = ElementTree.fromstring(draw([chart]).svg())
    ((mean,),) = curves(root)
    (band,) = (p for p in root.iter(f"{SVG}path") if f"fill: {BLUE.light}" in p.attrib.get("style", ""))
    height = 150 / 8
    assert {round((mean[0][1] - y) / height, 3) for _, y in points(band.attrib["d"])} == {-2, 2}
    (x0, _), (x1, _), (x2, _) = mean
    assert x2 - x1 == pytest.approx(2 * (x1 - x0))
    assert {"seconds", "400"} <= set(texts(root))


@pytest.mark.parametrize("value", [0.0, 10.0, 80.0])
def test_what_is_below_the_axis_lies_at_its_end(value: float) -> None:
    low, same = (curves(one([v, v], low=80, high=95)) for v in (value, 80.0))
    assert low == same


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 1e9])
def test_one_epoch_of_any_value_can_be_drawn(value: float) -> None:
    root = one([value], shade_until=15, rule=Rule(2, "limit", alarm=True))
    assert "limit" in texts(root)
    _, dot = curves(root)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert all(0 < x < width and 0 < y < height for x, y in dot[0])


def test_every_color_has_its_dark_partner() -> None:
    chart = Chart("t", [Series("a", BLUE, [[1, 2], [2, 3]])], rule=Rule(2, "limit", alarm=True), shade_until=1)
    for svg in (draw([chart]).svg(), scatter("t", "x", "y", [Dot(1, 2, kind) for kind in "abcd"]).svg()):
        body = svg.split("</style>")[1]
        used = {
            what
            for style in re.findall(r'style="([^"]*)"', body)
            for what in re.findall(r"(?:fill|stroke): #\w{6}", style)
        }
        assert {f"fill: {GROUND.light}", f"fill: {INK.light}", f"stroke: {GRID.light}"} <= used
        assert all(f'[style*="{what}"]' in DARK for what in used)
    assert f"fill: {SHADE.light}" in draw([chart]).svg()


def test_charts_side_by_side_share_axis_and_legend() -> None:
    charts = [Chart(f"<{index}> $x$", [Series("a & b", BLUE, [[index, 1.0]])]) for index in range(3)]
    root = ElementTree.fromstring(draw([charts[0], None, *charts[1:]], 2, "heading", "how to read").svg())
    found = texts(root)
    assert found.count("a & b") == 1 and {"heading", "how to read", "<0> $x$", "<1> $x$", "<2> $x$"} <= set(found)
    starts = [line[0][0] for line in curves(root)]
    assert len({x for x, _ in starts}) == 2
    first, second, third = (y for _, y in starts)
    assert first - second == pytest.approx(150 / 2.1 - (150 + 28)) and second - third == pytest.approx(150 / 2.1)


def test_scatter_plots_show_all_points_the_frequent_kind_as_discs() -> None:
    kinds = ["sample"] * 5 + ["found", "first"]
    for spread in (0.0, 1e-6, 1.0, 80.0):
        dots = [Dot(10 + spread * i, 90 - spread * i, kind) for i, kind in enumerate(kinds)]
        root = ElementTree.fromstring(scatter("a <title>", "x", "y", dots).svg())
        marks = [(float(use.attrib["x"]), float(use.attrib["y"])) for use in root.iter(f"{SVG}use")]
        assert len(marks) == 7 + 3  # and the legend
        assert all(0 < x < 560 and 0 < y < 400 for x, y in marks)
        assert {"a <title>", "sample", "found", "first", "x", "y"} <= set(texts(root))


def test_names_stay_text_and_drawings_are_the_same_bytes_in_every_process() -> None:
    hostile = '_"><script>&$\\frac$\x00\udcff\n中'
    code = (
        "from adarts.report.charts import *; from adarts.report.palette import series_look\n"
        f"print(draw([Chart({hostile!r}, [Series({hostile!r}, series_look(0), [[1.0, 2.0]])])]).svg())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    drawn = draw([Chart(hostile, [Series(hostile, series_look(0), [[1.0, 2.0]])])]).svg()
    assert said.stdout.decode() == f"{drawn}\n" and not said.stderr
    root = ElementTree.fromstring(drawn)
    assert any('"><script>&$\\frac$' in text for text in texts(root))


def test_an_element_of_a_page_has_no_styles_and_no_ids_of_its_own() -> None:
    svg = str(inline(draw([Chart("t", [Series("a", BLUE, [[1, 2], [2, 3]])], shade_until=1)]).svg()))
    assert not re.search(r"<style|xmlns|http| id=|url\(", svg)


def test_words() -> None:
    assert [count(2_897_902), count(469e6), count(999), count(12_345)] == ["2.90 M", "469 M", "999", "12.3 k"]
    seconds = {0.5: "0.5 s", 59.7: "59.7 s", 75: "1 min 15 s", 4980: "1 h 23 min"}
    assert {value: duration(value) for value in seconds} == seconds
    assert Spread.of([1.0, 3.0]).words("{:.1f}".format, " %") == "2.0 ± 1.4 %"
    assert Spread.of([1.0]).words("{:.1f}".format) == "1.0"


@pytest.mark.parametrize("code", ["import adarts", "from adarts.cli.main import main; main(['report', '--help'])"])
def test_matplotlib_is_loaded_only_where_something_is_drawn(code: str) -> None:
    after = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nassert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", after], capture_output=True, check=True)


def test_a_pdf_has_the_size_of_the_svg_and_the_same_bytes_again() -> None:
    chart = Chart("skips & <more>", [Series("a", BLUE, [[1, 2], [2, 3]])])
    root, pdf = ElementTree.fromstring(draw([chart]).svg()), draw([chart]).pdf()
    assert pdf == draw([chart]).pdf() and pdf.startswith(b"%PDF")
    dots = scatter("t", "x", "y", [Dot(1, 2, "a")]).pdf()
    for drawn, size in ((pdf, (root.get("width"), root.get("height"))), (dots, ("560", "400"))):
        box = re.search(rb"/MediaBox \[ 0 0 (\S+) (\S+) \]", drawn)
        assert box and tuple(f"{float(number):.0f}" for number in box.groups()) == size
