"""The driver of scripts/gpu in a trial on the CPU: every part runs, and what is stopped goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

DRIVER = Path(__file__).parents[2] / "scripts" / "gpu" / "run.py"


def call(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DRIVER), "--out", str(out), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def results(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "results.json").read_text()))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_refuses_in_one_line(tmp_path: Path) -> None:
    done = call(tmp_path / "out")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr == "gpu: no CUDA GPU here; --dry-run tries everything on the CPU at the smallest sizes\n"


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_trial_that_is_stopped_goes_on_to_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--dry-run", "--seeds", "1", "--public", str(tmp_path)]
    assert call(out, *words).returncode == 2, "there is no public code"
    (tmp_path / "model_search.py").write_text("raise RuntimeError('not this one')\n")
    log = out / "logs" / "nasbench201-darts-seed0.txt"
    with subprocess.Popen([sys.executable, str(DRIVER), "--out", str(out), *words], stdout=subprocess.DEVNULL) as first:
        end = time.monotonic() + 600
        while not (log.exists() and log.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGTERM)
    assert first.returncode == 143
    before = results(out)["items"]
    assert before["steps"]["state"] == "finished" and before["nasbench201/darts-seed0"]["state"] == "open"
    done = call(out, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(out)
    items = found["items"]
    assert {item["state"] for item in items.values()} == {"finished"} and len(items) == 3 + 1 + 3 + 1 + 1
    assert items["steps"] == before["steps"], "what is finished is not repeated"
    assert len(found["slices"]) == 2 and {slice["git_commit"] for slice in found["slices"]} != {None}
    assert items["tests/test_on_a_gpu"]["skipped"] == items["tests/test_on_a_gpu"]["tests"] > 20
    assert items["tests/test_batches"]["failures"] == 0
    errors = [step for step in items["steps"]["steps"] if "error" in step]
    assert errors and all("not this one" in step["error"] for step in errors)
    assert items["search/adarts-seed0"]["truth"]["cifar10"] > 80 and items["train/adarts-seed0"]["test_accuracy"] > 0
    page = (out / "summary.md").read_text()
    assert page.count("\n## ") == 5 and "Not finished" not in page and "not this one" in page
