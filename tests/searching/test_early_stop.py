"""A method that ends the search: the run is finished then, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from adarts.config.settings import SearchConfig
from adarts.searching import run_search

METHOD = '''
from adarts.methods import MethodInfo
from adarts.methods.darts import Darts

class Enough(Darts):
    """Ends with the second epoch."""

    info = MethodInfo("enough", "Enough", 2026, "none", "ends early", "1")

    def on_epoch_end(self, search):
        if search.progress.epoch == 1:
            search.stop("that was enough")
        return {"measured_number": 1.5, "note": "no number", "flag": True}
'''


def test_a_search_that_a_method_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "enough.py").write_text(METHOD)
    run_dir = tmp_path / "run"
    config = SearchConfig.model_validate(
        {
            "method": f"{tmp_path / 'enough.py'}:Enough",
            "supernet": {"channels": 8, "cells": 3},
            "images": {"per_class": 4, "size": 16},
            "search": {"epochs": 5, "batch_size": 8, "warmup_epochs": 0},
            "run": {"run_dir": run_dir},
        }
    )
    summary = run_search(config).summary
    assert (summary["epochs"], summary["planned_epochs"], summary["stopped"]) == (2, 5, "that was enough")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/5", "2/2"]
    assert "stopped: that was enough" in lines[1] and lines[1].endswith("0:00:00 to go")
    metrics = (run_dir / "metrics.jsonl").read_bytes()
    assert len(metrics.splitlines()) == 2

    page = (run_dir / "report.html").read_text()
    assert "ended the search after 2 of 5 epochs: that was enough" in page
    assert "Measured number" in page and "<figcaption>Note" not in page and "Flag" not in page

    assert run_search(config).summary == summary
    (run_dir / "summary.json").unlink()  # killed between the last checkpoint and the summary
    again = run_search(config).summary
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}
    assert (run_dir / "metrics.jsonl").read_bytes() == metrics
