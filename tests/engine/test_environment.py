"""The file of a method, from one process of a run to the next."""

from __future__ import annotations

import json
from pathlib import Path

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
