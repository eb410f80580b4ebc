"""The benchmarks at sizes that say nothing about speed: they run, and write what they say they write."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = ("--batch", "2", "--channels", "8", "--cells", "3", "--size", "8", "--device", "cpu")


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_gpu_benchmark_keeps_each_result_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    words = ("--out", str(tmp_path), "--only", "adarts float32 textbook", "K=8 float32", "float32 public")
    done = run("gpu.py", *words, "--public", str(tmp_path), *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    textbook, public, _, ours = found["results"]
    assert textbook["seconds"] > 0 and textbook["kernels"] > 1000 and "aten::" in (tmp_path / "kernels.txt").read_text()
    assert "model_search" in public["error"] and ours["design"]["k"] == 8 and ours["seconds"] > 0
    assert found["ceilings"]["matmul_bfloat16_flops"] > 0


def test_the_gpu_benchmark_begins_nothing_beyond_its_budget(tmp_path: Path) -> None:
    done = run("gpu.py", "--out", str(tmp_path), "--budget-s", "0", *TINY)
    assert done.returncode == 0 and "not measured: adarts float32 graphs, " in done.stdout
    assert json.loads((tmp_path / "gpu.json").read_text())["results"] == []
