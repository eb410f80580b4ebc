"""The file of a method, from one process of a run to the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adarts.config.settings import RunSettings, SearchConfig
from adarts.engine import RunFolder
from adarts.engine.environment import changed_sources


def test_what_is_another_file() -> None:
    assert changed_sources({"method_source": "0"}, {"method_source": "1"}) == ["method"]
    assert changed_sources({"method_source": "0", "space_source": "1"}, {"method_source": "0"}) == ["space"]
    assert not changed_sources({"method_source": "0"}, {"method_source": "0"})
    assert not changed_sources({}, {"method_source": "1"})  # without a file before


def test_a_run_is_compared_with_the_process_before(tmp_path: Path) -> None:
    config = SearchConfig(run=RunSettings(run_dir=tmp_path / "run"))
    said = []
    for source in ("0", "0", "1", "1"):
        with RunFolder.open("search", "x", config, {"method_source": source}) as run:
            said.append((run.path / "log.txt").read_text().count("warning: the file of the method"))
    assert said == [0, 0, 1, 1]
    saved = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert [facts["method_source"] for facts in (saved, *saved["continued"])] == ["0", "0", "1", "1"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize(("variables", "kept"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "65536"}, False)])
def test_freed_memory_is_kept_for_the_next_tensors(variables: dict[str, str], kept: bool) -> None:
    """Pages that are returned to the system come back one by one, 2,048 for 8 MB. Settings of the user's own stay."""
    code = """
import resource, torch
from adarts.config.settings import RunSettings
from adarts.engine import prepare_device
prepare_device(RunSettings(device="cpu", kernels="torch"))
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 100) is kept
