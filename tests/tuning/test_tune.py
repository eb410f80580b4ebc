"""Studies of real searches at the smallest budget."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from adarts.cli.main import main
from adarts.config.loading import to_yaml
from adarts.data import load_images
from adarts.searching import search
from adarts.tuning.plan import Plan
from adarts.tuning.study import PARTS, Study
from adarts.tuning.trial import run_trial

SMALL = ["--method", "darts", "--scale", "smoke", "--images.per-class", "4", "--images.size", "16", "--threads", "1"]
TUNE = ["--tune", "alphas.learning_rate=1e-4..1e-1:log", "search.batch_size=8,16"]


def tune(*words: object) -> int:
    return main(["tune", *SMALL, *map(str, words)])


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "adarts", "tune", *SMALL, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(process: subprocess.Popen[str], file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)
        assert process.poll() is None


def read(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "tune.json").read_text())
    return content


class Untouchable:
    """In place of the pixels of the test images."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a study reads its test images: {name}")


def test_a_trial_is_a_search_that_never_looks_at_a_test_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(*how: Any) -> Any:
        data = load_images(*how)
        object.__setattr__(data.test, "pixels", Untouchable())
        return data

    monkeypatch.setattr(search, "load_images", guarded)
    plan = Plan.of(
        TUNE[1:], "validation", "none", {"method": "darts", "scale": "smoke", "images": {"per_class": 4, "size": 16}}
    )
    for part in PARTS:
        (tmp_path / part).mkdir()
    study = Study.begin(tmp_path, plan, "images")
    study.hand_out("me", 1, lambda name: False)
    config = plan.point(study.rows()[0].parameters, "0000").config
    run = config.run.model_copy(update={"run_dir": study.run_dir(0)})
    (tmp_path / "configs" / "0000.yaml").write_text(to_yaml(config.model_copy(update={"run": run})))
    run_trial(tmp_path, 0, {})
    (row,) = study.rows()
    epochs = [json.loads(line) for line in (study.run_dir(0) / "metrics.jsonl").read_text().splitlines()]
    assert (row.state, row.value, row.epochs) == ("finished", 100 * epochs[-1]["supernet_accuracy"], 2)
    run_trial(tmp_path, 0, {})  # it has ended; nothing happens
    assert study.rows() == [row]


@pytest.mark.full
@pytest.mark.timeout(1000)
def test_a_study_from_its_first_trial_to_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "study"
    words = [*TUNE, "--trials", 1, "--study-dir", folder]
    assert tune(*words) == 0
    said = capsys.readouterr().out
    assert "started trial 0: alphas.learning_rate=0.0003, search.batch_size=16" in said
    (trial,) = read(folder)["trials"]
    epochs = [json.loads(line) for line in (folder / "trials" / "0000" / "metrics.jsonl").read_text().splitlines()]
    assert (trial["state"], trial["value"]) == ("finished", 100 * epochs[-1]["supernet_accuracy"])
    assert said.splitlines()[-1] == str(folder) and f"best: trial 0 with {trial['value']:.2f} %" in said
    assert "Tuning of alphas.learning_rate" in (folder / "report.html").read_text()

    # The printed command is the search of the trial.
    command = shlex.split(read(folder)["best"]["command"])
    assert main([*command[1:], "--threads", "1", "--run-dir", str(tmp_path / "again")]) == 0
    again = (tmp_path / "again" / "metrics.jsonl").read_bytes()
    assert again == (folder / "trials" / "0000" / "metrics.jsonl").read_bytes()
    capsys.readouterr()

    assert tune(*words) == 0  # nothing is left to do
    assert "1 trials, 1 already done" in capsys.readouterr().out
    assert main(["tune", "show", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == [trial]
    assert tune(*TUNE[:2], "--study-dir", folder) == 3
    assert "is another study: tune.search.batch_size differ; choose another" in capsys.readouterr().err


def test_nothing_is_written_for_a_study_that_cannot_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "study"
    assert tune("--tune", "alphas.rate=1..2", "--study-dir", folder) == 2
    assert tune("--tune", "edge.k=1,2", "--study-dir", folder) == 2
    assert not folder.exists()
    folder.mkdir()
    (folder / "mine.txt").touch()
    assert tune(*TUNE, "--study-dir", folder) == 3
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and said[2].endswith("neither empty nor the folder of a study; choose another --study-dir")


@pytest.mark.full
@pytest.mark.timeout(1000)
def test_the_same_study_is_identical_also_after_kills(tmp_path: Path) -> None:
    words = [*TUNE, "--trials", 4, "--prune", "hyperband", "--search.epochs", 3]
    assert tune(*words, "--study-dir", tmp_path / "whole") == 0
    for trial in ("0000", "0002"):
        process = start(*words, "--study-dir", tmp_path / "torn")
        wait_for(process, tmp_path / "torn" / "trials" / trial / "checkpoints" / "last.pt")
        process.kill()
        process.communicate()
    assert tune(*words, "--study-dir", tmp_path / "torn") == 0
    whole, torn = (read(tmp_path / name) for name in ("whole", "torn"))
    assert {**whole, "environment": 0} == {**torn, "environment": 0}
    for number in range(4):
        one, other = (tmp_path / name / "trials" / f"{number:04}" / "metrics.jsonl" for name in ("whole", "torn"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.full
@pytest.mark.timeout(1000)
def test_a_killed_worker_loses_no_trial(tmp_path: Path) -> None:
    words = [*TUNE, "--trials", 4, "--search.epochs", 3, "--prune", "median", "--study-dir", tmp_path]
    first = start(*words)
    wait_for(first, tmp_path / "trials" / "0000" / ".lock")
    second = start(*words)
    wait_for(first, tmp_path / "trials" / "0000" / "checkpoints" / "last.pt")
    first.kill()
    first.communicate()
    said, _ = second.communicate(timeout=900)
    assert second.returncode == 0, said
    trials = read(tmp_path)["trials"]
    assert [trial["number"] for trial in trials] == list(range(4))
    assert {trial["state"] for trial in trials} <= {"finished", "pruned"}
    assert {path.name for path in (tmp_path / "trials").iterdir()} == {f"{number:04}" for number in range(4)}
    for trial in trials:
        summary = json.loads((tmp_path / trial["folder"] / "summary.json").read_text())
        assert summary["epochs"] == trial["epochs"]
        assert (summary["stopped"] is not None) == (trial["state"] == "pruned")
    assert "continuing from" in "".join(log.read_text() for log in (tmp_path / "logs").iterdir())
    assert not list((tmp_path / "workers").glob(f"*-{second.pid}-*"))


@pytest.mark.full
@pytest.mark.timeout(1000)
def test_searches_that_diverge_or_fail_are_trials_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--tune", "weights.learning_rate=0.025,1e30", "--trials", 3, "--slots", 2, "--study-dir", tmp_path]
    assert tune(*words, "--weights.clip", "inf") == 0
    trials = read(tmp_path)["trials"]
    assert {trial["state"] for trial in trials} == {"finished", "diverged"}
    assert all((trial["error"] is None) == (trial["state"] == "finished") for trial in trials)
    assert "diverged trial" in capsys.readouterr().out
