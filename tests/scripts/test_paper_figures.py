"""The drawings of the paper's figures are those that the code makes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = ("fig2", "fig3", "fig4", "fig5", "fig6", "fig7")


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    file = ROOT / "scripts" / "paper_figures.py"
    spec = importlib.util.spec_from_file_location("paper_figures", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["paper_figures"] = module  # its data classes look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", FIGURES)
def test_the_committed_drawings_are_up_to_date(figures: ModuleType, name: str) -> None:
    committed = (ROOT / "docs" / "images" / f"paper-{name}.svg").read_text()
    assert figures.FIGURES[name]().svg() == committed, "run: python scripts/paper_figures.py"


def test_every_figure_is_shown(figures: ModuleType) -> None:
    page = (ROOT / "docs" / "method.md").read_text()
    assert tuple(figures.FIGURES) == FIGURES and all(f"(images/paper-{name}.svg)" in page for name in FIGURES)
