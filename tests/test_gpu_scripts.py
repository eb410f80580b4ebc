"""The scripts for a GPU machine, as far as they can be tested without one."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts" / "gpu"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmark.py, which measures nothing."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPTS / "benchmark.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "measure", lambda *_: {"seconds": 1.0, "peak_bytes": None})
    return module


def call(script: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--out", str(out), "--methods", "adarts", *words])
    code: int = script.main()
    return code


def test_results_of_other_settings_are_not_mixed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert call(script, monkeypatch, tmp_path, "--steps", "3") == 0
    found = json.loads((tmp_path / "benchmark.json").read_text())
    assert {"commit", "steps", "repeats", "warmup", "batch", "device", "torch"} <= set(found["settings"])
    for words in (["--steps", "4"], ["--steps", "3", "--repeats", "2"], ["--steps", "3", "--warmup", "2"]):
        assert call(script, monkeypatch, tmp_path, *words) == 2
        assert "choose another --out" in capsys.readouterr().err
    monkeypatch.setattr(script, "environment", lambda device: {"device": "cpu", "torch": "1", "git_commit": "other"})
    assert call(script, monkeypatch, tmp_path, "--steps", "3") == 2


@pytest.mark.parametrize(
    "words", [("--batch", "0"), ("--steps", "0"), ("--repeats", "0"), ("--warmup", "-1"), ("--cells", "2")]
)
def test_numbers_that_cannot_work_are_refused_in_a_line(
    words: tuple[str, str],
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(script, monkeypatch, tmp_path, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith(words[0]) and said.count("\n") == 1


@pytest.mark.parametrize("seeds", ["abc", "0", "", "1e3"])
def test_seeds_that_are_no_number_are_refused_in_a_line(seeds: str, tmp_path: Path) -> None:
    command = ["bash", str(SCRIPTS / "search"), "--out", str(tmp_path), "--seeds", seeds]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"--seeds takes a number of at least 1, not '{seeds}'\n")
