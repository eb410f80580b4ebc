from __future__ import annotations

from pathlib import Path

import pytest

from adarts.searching import run_search, search_config


@pytest.fixture(scope="session")
def finished_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a search in NAS-Bench-201 of two seconds; whoever writes into it writes the same."""
    config = search_config(
        method="adarts",
        space="nasbench201",
        scale="smoke",
        images={"per_class": 4, "size": 16},
        search={"batch_size": 8},
        run={"run_dir": tmp_path_factory.mktemp("truth") / "search", "threads": 1, "device": "cpu"},
    )
    return run_search(config).run_dir
