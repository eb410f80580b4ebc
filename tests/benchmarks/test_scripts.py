"""The benchmarks at sizes that say nothing about speed: they run, and write what they say they write."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = shlex.split("--batch 2 --channels 8 --cells 3 --size 8 --device cpu --threads 1 --repeats 1")


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.full
def test_ours_against_the_textbook() -> None:
    done = run("against_textbook.py", *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    first, textbook = found["variants"]
    assert found["speedup"] == first["speedup"] > 0 and found["memory_ratio"] == first["memory_ratio"] > 0
    assert textbook["speedup"] == 1 and len(textbook["rounds"]) == found["repeats"] == 1
    assert {"command", "cpu", "torch", "git_commit", "threads"} <= found["provenance"].keys()


@pytest.mark.full
def test_what_the_page_of_the_methods_is_made_of(tmp_path: Path) -> None:
    words = ("--methods", "darts", "--active", "1", "--json", str(tmp_path / "active.json"))
    done = run("search_step.py", *words, *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "active.json").read_text())
    (one,) = found["results"]
    assert one["active"] == 1 and one["variant"]["method"] == "darts" and one["variant"]["size"] == 8
    assert one["memory"] > 0 and one["memory_ratio"] == 1 and one["time_ratio_range"] == [1, 1]
    assert found["settings"]["repeats"] == 1 and found["provenance"]["cpu"]


@pytest.mark.full
def test_a_single_path_beside_the_plain_network() -> None:
    done = run("single_path.py", *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ratio"] > 0 and found["seconds"].keys() == {"path", "network"} and found["provenance"]["cpu"]


@pytest.mark.full
def test_how_time_and_memory_grow(tmp_path: Path) -> None:
    done = run("growth.py", "--only", "k", "--json", str(tmp_path / "growth.json"), *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "growth.json").read_text())
    assert [(one["code"], one["values"]) for one in found["results"]] == [
        ("adarts", [1, 2, 4, 8]),
        ("textbook", [1, 2, 4, 8]),
    ]
    assert all(len(one["seconds"]) == len(one["memory"]) == 4 for one in found["results"])


@pytest.mark.full
def test_the_engines_beside_plain_commands() -> None:
    done = run("engines.py", "--points", "2", "--repeats", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (
        found["seconds"].keys() == {"plain", "local"} and len(found["added_seconds_per_point"]["local"]["rounds"]) == 1
    )


def test_what_cannot_be_compared_is_refused_in_a_line(tmp_path: Path) -> None:
    done = run("against_textbook.py", "--public", str(tmp_path), *TINY)
    said = [line for line in done.stderr.splitlines() if "cpp_extension" not in line]
    assert done.returncode == 2 and len(said) == 1 and done.stdout == ""


@pytest.mark.full
def test_the_gpu_benchmark_keeps_each_result_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    words = ("--out", str(tmp_path), "--only", "adarts float32 eager", "K=8 float32", "float32 public")
    done = run("gpu.py", *words, "--public", str(tmp_path), *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    public, eager, _, _, ours = found["results"]
    assert eager["seconds"] > 0 and eager["kernels"] > 1000 and "aten::" in (tmp_path / "kernels.txt").read_text()
    assert "model_search" in public["error"] and ours["design"]["k"] == 8 and ours["seconds"] > 0
    assert found["ceilings"]["matmul_bfloat16_flops"] > 0
    again = run("gpu.py", *words, *TINY)
    after = json.loads((tmp_path / "gpu.json").read_text())
    assert again.returncode == 0 and after["ceilings"] == found["ceilings"]
    kept = [record for record in after["results"] if "error" not in record]
    assert kept == [record for record in found["results"] if "error" not in record], "what is measured is kept"


@pytest.mark.full
def test_the_gpu_benchmark_begins_nothing_beyond_its_budget(tmp_path: Path) -> None:
    done = run("gpu.py", "--out", str(tmp_path), "--budget-s", "0", *TINY)
    assert done.returncode == 143 and "not measured: adarts float32 graphs, " in done.stdout
    assert json.loads((tmp_path / "gpu.json").read_text())["results"] == []


@pytest.mark.full
def test_the_roofline_counts_fewer_calls_with_native_kernels() -> None:
    calls = {}
    for kernels in ("auto", "torch"):
        done = run("roofline.py", "--kernels", kernels, "--peaks", "1e10", "1e11", *TINY)
        assert done.returncode == 0, done.stderr
        rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")][2:]
        counts = {kind: int(count.replace(",", "")) for kind, count, *_ in rows}
        calls[kernels] = counts.pop("all")
        assert calls[kernels] == sum(counts.values())
    assert calls["auto"] < calls["torch"]
