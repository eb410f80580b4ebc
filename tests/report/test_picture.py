"""A run as one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from adarts.report import picture

SVG = "{http://www.w3.org/2000/svg}"


def test_curves_stand_side_by_side_below_the_cells(search_run: Callable[..., Path]) -> None:
    whole = ElementTree.fromstring(picture(search_run()))
    parts = whole.findall(f"{SVG}svg")
    words = [part.get("aria-label", "").split(".")[0].split(":")[0] for part in parts]
    assert words == ["normal cell", "reduction cell", "Loss", "Accuracy", "Learning rate"]
    sides = [[int(part.get(side, "")) for side in ("width", "height")] for part in parts]
    (normal, reduction), curves = (height for _, height in sides[:2]), max(height for _, height in sides[2:])
    below = normal + reduction
    loss, accuracy = (width for width, _ in sides[2:4])
    places = [(int(part.get("x", "")), int(part.get("y", ""))) for part in parts]
    assert places == [(0, 0), (0, normal), (0, below), (loss, below), (loss + accuracy, below)]
    assert whole.get("height") == str(below + curves) and whole.get("aria-label") == "search with adarts on digits"


def test_a_run_that_has_only_begun_is_an_empty_picture(search_run: Callable[..., Path]) -> None:
    whole = ElementTree.fromstring(picture(search_run(epochs=0, finished=False)))
    assert not whole.findall(f"{SVG}svg") and whole.get("height") == "0"
