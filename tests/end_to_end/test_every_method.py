"""One method of each kind on the command line, on a few small images; with ``-m ''`` all, at the scale smoke as it is, too.

The contract of methods holds them all in every run of the tests.
"""

import json
from pathlib import Path

import pytest

from adarts.cli.main import main
from adarts.methods import list_methods
from adarts.spaces import get_space, load_genotype

from .harness import SMOKE

SMALL = [*SMOKE, "--images.per-class", "2", "--images.size", "8", "--search.batch-size", "8", "--search.steps", "1"]
#: paper's method, default methods, a front, an evolution
KINDS = {"adarts", "trials", "adarts-trials", "cars", "amoebanet"}
#: what makes the last part of a method small, too
SMALLER = {"adarts-trials": ["--options", "cells=3,epochs=1"]}


@pytest.mark.parametrize("budget", [SMALL, pytest.param(SMOKE, marks=pytest.mark.full)], ids=["small", "smoke"])
@pytest.mark.parametrize(
    "method",
    [info.name if info.name in KINDS else pytest.param(info.name, marks=pytest.mark.full) for info in list_methods()],
)
def test_a_search_on_the_command_line(method: str, budget: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["search", *budget, *SMALLER.get(method, []), "--method", method, "--run-dir", str(run)]) == 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["method"] == method
    load_genotype(run / "genotype.json").require_within(get_space("darts"))
