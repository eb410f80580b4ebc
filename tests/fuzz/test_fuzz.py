"""Every parser returns, or refuses its input in one line; it writes nothing elsewhere, starts nothing, and is done in seconds.

`pytest tests/fuzz -m '' --fuzz-minutes 30` tries random inputs for half an hour, equally long for each parser, and says how many.
Otherwise a few inputs are tried, the same every time, so that a change of something else does not fail here by chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

import adarts

from .parsers import PARSERS, Parser
from .watched import watched

_FEW = settings(derandomize=True, max_examples=8, phases=(Phase.explicit, Phase.generate))
_MANY = settings(
    max_examples=100, phases=(Phase.explicit, Phase.generate, Phase.shrink)
)  # to explain is to trace: slow
_ALL = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": False}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a folder with a finished search and a finished training, as small as they can be, and gives it to all."""
    folder = tmp_path_factory.mktemp("runs")

    def make() -> Path:
        if not (folder / "train").exists():
            small = {"images": {"per_class": 2, "size": 8}}
            search = {"supernet": {"channels": 4, "cells": 3}, "search": {"epochs": 2, "steps": 1, "batch_size": 4}}
            found = adarts.search(
                "digits", method="adarts", scale="smoke", **small, **search, run={"run_dir": folder / "search"}
            )
            network = {"network": {"channels": 2, "cells": 3}, "training": {"epochs": 1, "steps": 1}}
            adarts.train(found.genotype, scale="smoke", **small, **network, run={"run_dir": folder / "train"})
        return folder

    return make


@pytest.mark.parametrize(
    "parser", [pytest.param(one, id=one.name, marks=[pytest.mark.full] * one.slow) for one in PARSERS]
)
def test_a_parser_returns_or_refuses(
    parser: Parser,
    tmp_path: Path,
    runs: Callable[[], Path],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    inputs, read = parser.begin(folder, runs)
    tried = 0

    def attempt(found: Any) -> None:
        nonlocal tried
        tried += 1
        with watched(folder):
            read(found)
        capsys.readouterr()  # else all that is printed is kept

    def run(how: settings) -> None:
        test = given(inputs)(attempt)
        for one in parser.found:
            test = example(one)(test)
        settings(how, **_ALL)(test)()

    seconds = 60 * request.config.getoption("--fuzz-minutes") / len(PARSERS)
    end = time.monotonic() + seconds
    run(_MANY if seconds else _FEW)
    while time.monotonic() < end:
        run(_MANY)
    if seconds:
        with capsys.disabled():
            print(f"\n{parser.name}: {tried:,} inputs")
