"""The cluster of the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slurm_cluster import Cluster, slurm_or_skip


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from slurm_or_skip(tmp_path_factory.mktemp("slurm"))
