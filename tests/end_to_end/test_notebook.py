"""The notebook runs as it stands, inside a running event loop, as Jupyter has, and shows pictures."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def executed(cells: list[str], names: dict[str, Any]) -> list[Any]:
    """Execute cells as Jupyter does; return the value of the last expression of each, which it shows."""
    shown = []
    for cell in cells:
        body = ast.parse(cell).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        shown.append(None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    return shown


async def in_a_loop(cells: list[str], names: dict[str, Any]) -> list[Any]:
    return executed(cells, names)


@pytest.mark.full
def test_it_runs_and_shows_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    shown = asyncio.run(in_a_loop(CODE, {}))
    pictures = [value._repr_svg_() for value in shown if value is not None]
    assert len(pictures) == 2 and all(picture.count("normal cell") == 1 and "Loss" in picture for picture in pictures)
    said = capsys.readouterr().out
    assert "\r" not in said and "epoch 2/2" in said
    assert re.search(r"^random +\d+\.\d% of the test images", said, flags=re.MULTILINE)
    assert said.count(".png [") == 3


def test_its_outputs_are_those_of_its_cells() -> None:
    """They are committed, so that readers see the pictures: of every cell, without an error, and small."""
    cells = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == 2
    assert not any(output["output_type"] == "error" for output in outputs)
    assert NOTEBOOK.stat().st_size < 300_000
