"""Every method on the command line, at the smallest scale; a third of the time is the projection of DARTS-PT."""

import json
from pathlib import Path

import pytest

from adarts.cli.main import main
from adarts.methods import list_methods
from adarts.spaces import get_space, load_genotype

from .harness import SMOKE

#: what makes the last part of a method small, too
SMALLER = {"adarts-trials": ["--options", "cells=3,epochs=1"]}


@pytest.mark.parametrize("method", [info.name for info in list_methods()])
def test_a_search_at_scale_smoke(method: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["search", *SMOKE, *SMALLER.get(method, []), "--method", method, "--run-dir", str(run)]) == 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["method"] == method
    load_genotype(run / "genotype.json").require_within(get_space("darts"))
