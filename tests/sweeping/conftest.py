"""What the tests of engines share: the real Slurm, and the table that each engine must reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from slurm_cluster import Cluster, slurm_or_skip
from whole_sweep import WORDS, table

from adarts.cli.main import main


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from slurm_or_skip(tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The table of the sweep on this machine, without an interruption."""
    folder = tmp_path_factory.mktemp("local") / "sweep"
    assert main(["sweep", *WORDS, "--sweep-dir", str(folder)]) == 0
    return table(folder)
