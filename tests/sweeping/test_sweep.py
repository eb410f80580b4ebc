"""Whole sweeps of real searches at the smallest budget: what is done once is not done again, and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import adarts
from adarts.cli.main import main
from adarts.engine.lock import Lock
from adarts.errors import CheckpointError, ConfigError
from adarts.sweeping.executors import Ended
from adarts.sweeping.runner import goes_on
from adarts.sweeping.sweep import _require_sweep_folder
from adarts.truth.stability import DRAWING

SMALL = ["--method", "adarts", "--scale", "smoke", "--images.per-class", "4", "--images.size", "16", "--threads", "1"]


def sweep(*words: object) -> int:
    return main(["sweep", *SMALL, *map(str, words)])


@pytest.mark.full
def test_failed_points_do_not_stop_the_others_and_finished_ones_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    rates = ["--vary", "weights.learning-rate=0.025,1e30", "--sweep-dir", folder, "--slots", 2]
    good, bad = (f"adarts-weights.learning_rate={rate}-seed0" for rate in ("0.025", "1e+30"))

    assert sweep(*rates) == 1
    out, err = capsys.readouterr()
    assert f"started {good}" in out and f"finished {good}" in out
    (failure,) = [line for line in out.splitlines() if line.startswith(f"failed {bad}")]
    assert "learning rate" in failure and failure.endswith(f"(log: {folder}/logs/{bad}.txt)")
    assert err.startswith(f"adarts: 1 of 2 points failed: {bad} (logs in {folder}/logs); retry them with: ")
    found = json.loads((folder / "sweep.json").read_text())
    states = {point["name"]: (point["state"], point["error"] is None) for point in found["points"]}
    assert states == {good: ("finished", True), bad: ("failed", False)}

    # What is in the file is what the run itself wrote.
    run = folder / "points" / good
    summary = json.loads((run / "summary.json").read_text())
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figures = found["points"][0]["figures"]
    assert {figures[f"skips.{kind}"] for kind in ("normal", "reduction")} == set(summary["skips"].values())
    assert {kind: figures[f"weight_free.{kind}"] for kind in summary["skips"]} == epochs[-1]["weight_free"]
    assert figures["train_accuracy"] == epochs[-1]["train_accuracy"]
    assert figures["alphas_accuracy"] == epochs[-1]["alphas_accuracy"]
    assert figures["seconds"] == summary["seconds"]
    (group,) = found["groups"]
    assert group["figures"]["skips.normal"] == {"n": 1, "mean": summary["skips"]["normal"], "sd": None}
    environment = json.loads((run / "environment.json").read_text())
    assert environment["threads"] == 1
    assert environment["command"].startswith("adarts search --config")
    assert found["environment"]["torch"] == environment["torch"]

    # A wider grid in the same folder adds a point; the finished one is left alone.
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    wider = ["--vary", "weights.learning-rate=0.025", "--sweep-dir", folder, "--seed", "0-1"]
    assert sweep(*wider) == 0
    out, _ = capsys.readouterr()
    assert "2 points, 1 already finished" in out
    assert re.findall(r"started (\S+)", out) == [good.replace("seed0", "seed1")]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (group,) = json.loads((folder / "sweep.json").read_text())["groups"]
    assert (group["seeds"], group["figures"]["seconds"]["n"]) == ([0, 1], 2)
    assert "| 0.025" in (folder / "sweep.md").read_text()

    # The same again does nothing; another configuration in the same folders is refused.
    assert sweep(*wider) == 0
    out, _ = capsys.readouterr()
    assert "started" not in out and out.splitlines()[-1] == str(folder)
    assert sweep(*wider, "--search.epochs", 3) == 3
    assert f"adarts: {run} is a run of another configuration: search.epochs differ; " in capsys.readouterr().err


def wait_for(log: Path, said: str) -> None:
    end = time.monotonic() + 60
    while not log.exists() or said not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.full
def test_a_sweep_that_was_killed_and_stopped_ends_as_the_uninterrupted_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    words = ["--seed", 5, "--search.epochs", 4, "--sweep-dir", folder]
    point, log = folder / "points" / "adarts-seed5", folder / "logs" / "adarts-seed5.txt"

    command = [sys.executable, "-m", "adarts", "sweep", *SMALL, *map(str, words)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    wait_for(log, "epoch 1/4")
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL

    def stop() -> None:
        wait_for(log, "continuing from")
        os.kill(os.getpid(), signal.SIGTERM)

    # At once: it waits for the search that lost its sweep, which stops at a checkpoint by itself.
    thread = threading.Thread(target=stop)
    thread.start()
    assert sweep(*words) == 143
    thread.join()
    out, err = capsys.readouterr()
    assert "stopped adarts-seed5" in out
    assert err.startswith(f"adarts: stopped by SIGTERM, 0 of 1 points finished, in {folder}; continue with: ")
    assert json.loads((folder / "sweep.json").read_text())["points"][0]["state"] == "stopped"
    assert log.read_text().count("stopped by SIGTERM") == 2  # the one that lost its sweep, too

    assert sweep(*words) == 0
    assert log.read_text().count("continuing from") == 2
    alone = adarts.search(
        method="adarts",
        scale="smoke",
        images={"per_class": 4, "size": 16},
        seed=5,
        search={"epochs": 4},
        run={"run_dir": tmp_path / "alone", "threads": 1},
    )
    assert (point / "metrics.jsonl").read_bytes() == (alone.run_dir / "metrics.jsonl").read_bytes()


@pytest.mark.full
def test_a_search_that_was_killed_or_asked_to_stop_by_somebody_else_is_submitted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    run, log = folder / "points" / "adarts-seed0", folder / "logs" / "adarts-seed0.txt"

    def end() -> None:
        for said, number in (("epoch 1/4", signal.SIGKILL), ("continuing from", signal.SIGTERM)):
            wait_for(log, said)
            os.kill(int((run / ".lock").read_text().split()[1]), number)

    thread = threading.Thread(target=end)
    thread.start()
    assert sweep("--seed", 0, "--search.epochs", 4, "--sweep-dir", folder) == 0
    thread.join()
    said = capsys.readouterr().out
    assert "queued adarts-seed0 again: ended by SIGKILL" in said
    assert "queued adarts-seed0 again: stopped by SIGTERM" in said
    assert log.read_text().count("continuing from") == 2


@pytest.mark.full
def test_what_was_found_and_random_cells_are_trained_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--seed", 3, "--sweep-dir", tmp_path, "--device", "cpu", "cpu"]
    assert sweep(*words) == 0
    ends = capsys.readouterr().out.splitlines()[-3:]
    assert [line.partition(": ")[2] for line in ends[:2]] == [
        f"all searches on one page: adarts report {tmp_path}",
        "train the found cells, and random ones beside them: the same command with --train",
    ]
    train = ["--train", "--train-options", "training.epochs=1,network.cells=3"]
    assert sweep(*words, *train) == 0
    out = capsys.readouterr().out
    assert "1 points, 1 already finished" in out and "2 trainings, 0 already finished" in out
    assert "started train-adarts-seed3 on cpu" in out
    whole = json.loads((tmp_path / "sweep.json").read_text())
    for row, training in zip(whole["networks"], whole["trainings"], strict=True):
        summary = json.loads((tmp_path / training["folder"] / "summary.json").read_text())
        assert row["figures"]["test_accuracy"] == {"n": 1, "mean": summary["test_accuracy"], "sd": None}
        assert summary["seed"] == 3 and summary["epochs"] == 1
    assert [row["settings"]["method"] for row in whole["networks"]] == ["adarts", "random cells"]
    assert "| always the largest class" in (tmp_path / "sweep.md").read_text()
    assert main(["report", str(tmp_path)]) == 0
    paper = tmp_path / "paper"
    for name, groups in (("searches", whole["groups"]), ("networks", whole["networks"])):
        first, *_ = csv.DictReader((paper / f"{name}.csv").open())
        assert first["method"] == "adarts"
        assert float(first["measured: seconds (s), mean"]) == groups[0]["figures"]["seconds"]["mean"]
        assert (paper / f"{name}.tex").read_text().count("adarts &") == 1
    figures = {path.stem for path in paper.glob("*.svg")}
    assert {"search-training-loss", "train-training-accuracy"} <= figures
    assert all((paper / f"{figure}.pdf").read_bytes().startswith(b"%PDF") for figure in figures)
    assert main(["sweep", "status", str(tmp_path)]) == 0
    assert re.search("train-adarts-seed3 +finished +1/1", capsys.readouterr().out)
    assert sweep(*words, *train) == 0
    assert "2 trainings, 2 already finished" in capsys.readouterr().out


def test_a_lost_search_is_submitted_again_three_times_and_a_failed_one_never() -> None:
    lost: Counter[str] = Counter()
    assert [goes_on(Ended("a", None, "ended by SIGKILL"), lost) for _ in range(4)] == [True, True, True, False]
    assert [goes_on(Ended("b", code, ""), lost) for code in (143, 130, *range(5))] == [True, True, *[False] * 5]


@pytest.mark.full
def test_a_time_limit_is_that_of_the_whole_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seed", "0-3", "--search.epochs", 500, "--time-limit", "3s", "--sweep-dir", tmp_path]
    assert sweep(*words) == 143
    assert "adarts: stopped by the time limit, 0 of 4 points finished" in capsys.readouterr().err
    states = [point["state"] for point in json.loads((tmp_path / "sweep.json").read_text())["points"]]
    assert states[0] in ("stopped", "waiting")  # on a very busy machine the checks alone may take so long
    assert states[1:] == ["waiting"] * 3


@pytest.mark.parametrize(
    "vary",
    [
        {"edge.k": [2, 3]},
        {"seed": [0], "edge.mask_scope": ["batch", "x"]},
        {"method": ["adarts", "darts"], "edge.k": [2]},
    ],
)
def test_invalid_points_are_refused_before_anything_starts(vary: dict[str, list[object]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        adarts.sweep(vary, sweep_dir=tmp_path / "sweep", scale="smoke", images={"per_class": 4})
    assert not any(tmp_path.iterdir())


def test_what_truth_stability_writes_into_the_folder_of_a_sweep_does_no_harm(tmp_path: Path) -> None:
    for name in ("stability.json", DRAWING):
        (tmp_path / name).touch()
    _require_sweep_folder(tmp_path)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(CheckpointError, match="is neither empty nor the folder of a sweep"):
        _require_sweep_folder(tmp_path)


def test_folders_of_something_else_and_of_another_sweep_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(CheckpointError, match="is neither empty nor the folder of a sweep"):
        adarts.sweep({"seed": [0]}, sweep_dir=tmp_path, scale="smoke")
    (tmp_path / "mine.txt").unlink()
    lock = Lock(tmp_path)
    with pytest.raises(CheckpointError, match=rf"{tmp_path} is in use by process {os.getpid()}"):
        adarts.sweep({"seed": [0]}, sweep_dir=tmp_path, scale="smoke")
    lock.release()
    with pytest.raises(ConfigError, match="slots must be greater than 0, not 0"):
        adarts.sweep({"seed": [0]}, slots=0, sweep_dir=tmp_path, scale="smoke")
