"""`adarts explore --evaluator training`: what a training is, and that nothing depends on where and in which order they run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import adarts
from adarts.cli.main import main
from adarts.exploring import Budget
from adarts.exploring.trained import TrainedExploration
from adarts.sweeping.executors import Ended, Event, Job, Started

TINY = "images.per_class=2,images.size=8,search.batch_size=8,search.steps=1"
WORDS = [
    "explore",
    "--evaluator",
    "training",
    "--data",
    "digits",
    "--scale",
    "smoke",
    "--space",
    "s3",
    "--threads",
    "1",
]
WORDS += ["--train-options", TINY]


def explored(folder: Path, *words: str) -> int:
    return main([*WORDS, "--run-dir", str(folder), *words])


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()[1:]]


def result(folder: Path) -> dict[str, Any]:
    """The content of ``explore.json`` without what belongs to a machine."""
    content: dict[str, Any] = json.loads((folder / "explore.json").read_text())
    del content["environment"]
    return content


class Here:
    """An executor that carries out one job after the other in this process, the last one first, as far as it may."""

    places, threads, pause = 3, 1, 0.0

    def __init__(self, may: Callable[[str], bool] = lambda name: True) -> None:
        self.may, self.waiting, self.ran = may, list[Job](), list[str]()

    def submit(self, jobs: Sequence[Job]) -> None:
        self.waiting += jobs

    def poll(self) -> Sequence[Event]:
        if not self.waiting:
            return []
        job = self.waiting.pop()
        self.ran.append(job.name)
        if not self.may(job.name):
            return [Started(job.name), Ended(job.name, 3, "a disk is full")]
        return [Started(job.name), Ended(job.name, main(list(job.command[3:])), "words of the error")]

    def alive(self) -> set[str]:
        return {job.name for job in self.waiting}

    def stop(self) -> None:
        self.waiting.clear()

    def close(self) -> None:
        pass


def numbers(here: Here) -> list[int]:
    """The numbers of the proposals that were trained, in order."""
    return [int(name.split("-")[1]) for name in here.ran]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    one = Here()
    monkeypatch.setattr("adarts.exploring.jobs.executor", lambda engine, folder, threads: one)
    return one


def test_trainings_are_those_of_the_search_in_one_process(here: Here, tmp_path: Path) -> None:
    words = [
        "--searcher",
        "random",
        "rea",
        "--budget",
        "3",
        "--options",
        "rea.population=2,rea.sample=1",
        "--seed",
        "3",
    ]
    assert explored(tmp_path / "jobs", *words) == 0
    assert numbers(here) == [2, 1, 0, 2]  # rea's population is random, so it shares the first two trainings
    setup = TrainedExploration(["rea"], Budget(3, False), seed=3)
    found = adarts.search(
        data="digits",
        scale="smoke",
        space="s3",
        method="amoebanet",
        seed=setup.seed_of(0),
        options={"cells": 3, "population": 2, "sample": 1, "identity": 0.0, "images": 32},
        images={"per_class": 2, "size": 8},
        search={"batch_size": 8, "steps": 1},
        run={"run_dir": tmp_path / "one", "threads": 1},
    )
    epochs = [json.loads(line) for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    trained = [epoch["method"]["finished"][0] for epoch in epochs]
    trials = [trial for trial in told(tmp_path / "jobs") if trial["searcher"] == "rea"]
    assert [trial["genotype"]["cells"] for trial in trials] == [one["cells"] for one in trained]
    assert [trial["accuracy"] for trial in trials] == [one["accuracy"] for one in trained]
    assert [trial["parameters"] for trial in trials] == [one["parameters"] for one in trained]
    (best,) = result(tmp_path / "jobs")["searchers"]["rea"]["found"]
    assert json.loads((tmp_path / "jobs" / "trials" / best / "genotype.json").read_text()) == found.genotype.to_dict()


def test_a_failed_training_is_tried_again_and_the_order_of_the_ends_does_not_matter(
    here: Here, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--searcher", "random", "--budget", "3"]
    assert explored(tmp_path / "whole", *words) == 0
    here.ran, here.may = [], lambda name: not name.startswith("run0-0001-")
    assert explored(tmp_path / "parts", *words) == 1
    said = capsys.readouterr().err
    assert re.search(
        r"2 of 3 trials finished; trainings failed, and their searchers wait for them: run0-0001-\w+ \(logs in ", said
    )
    assert "try them again with: the same call" in said
    assert [trial["number"] for trial in told(tmp_path / "parts")] == [0]
    with (tmp_path / "parts" / "trials.jsonl").open("a") as file:
        file.write('{"searcher": "ran')  # as a killed process leaves it
    here.ran, here.may = [], lambda name: True
    assert explored(tmp_path / "parts", *words) == 0
    assert numbers(here) == [1]
    whole, parts = ((tmp_path / name / "trials.jsonl").read_bytes() for name in ("whole", "parts"))
    assert whole == parts and result(tmp_path / "whole") == result(tmp_path / "parts")
    page = (tmp_path / "parts" / "report.html").read_text()
    best = max(told(tmp_path / "parts"), key=lambda trial: trial["accuracy"])["number"]
    assert re.search(rf"adarts train --genotype {tmp_path}/parts/trials/run0-{best:04d}-\w+ --data digits", page)
    # Nothing is left to do, and another exploration is refused.
    here.ran = []
    assert explored(tmp_path / "parts", *words) == 0 and here.ran == []
    assert explored(tmp_path / "parts", *words, "--seed", "1") == 3
    assert "is of another exploration: seed, config.seed, images differ" in capsys.readouterr().err


def test_a_cell_whose_loss_is_not_finite_scores_0(here: Here, tmp_path: Path) -> None:
    words = [
        "--searcher",
        "local",
        "--budget",
        "1",
        "--train-options",
        f"{TINY},weights.learning_rate=1e30,search.steps=3",
    ]
    assert explored(tmp_path, *words) == 0
    (trial,) = told(tmp_path)
    assert (trial["accuracy"], trial["error"]) == (0.0, "words of the error") and trial["parameters"] > 0
    (run,) = (tmp_path / "trials").iterdir()
    assert not (run / "summary.json").exists()
    here.ran = []
    assert explored(tmp_path, *words) == 0 and here.ran == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--budget is missing: the number of trainings of a run"),
        (["--budget", "5h"], "trainings are counted, so the budget must be a number of them"),
        (["--budget", "2", "--noise"], "--noise has an effect with a table only"),
        (["--budget", "2", "--on", "slurm", "--scale", "auto"], "the automatic scale is that of this machine"),
        (["--budget", "2", "--train-options", "seed=1"], "--train-options seed: the exploration itself sets it"),
        (["--budget", "2", "--train-options", "options.cells=3"], "options.cells: the exploration itself sets it"),
        (["--budget", "2", "--train-options", "search.epoch=3"], "search.epoch: there is no such setting of a search"),
        (["--budget", "2", "--data", "digit"], "digit"),
        (
            ["--budget", "2", "--evaluator", "darts", "--batch", "2"],
            "--space has an effect with --evaluator training only",
        ),
        (["--budget", "2", "--slurm.partition", "gpu"], "--slurm.* has no effect with --on local"),
    ],
)
def test_what_cannot_be_explored_is_refused_in_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "--searcher", "rea", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.full
@pytest.mark.timeout(900)
def test_killed_stopped_and_continued_in_two_slots_ends_as_in_one(tmp_path: Path) -> None:
    words = ["--searcher", "rea", "--budget", "5", "--options", "population=1,sample=1", "--batch", "2"]
    assert explored(tmp_path / "one", *words) == 0
    folder = tmp_path / "two"
    command = [sys.executable, "-m", "adarts", *WORDS, *words, "--slots", "2", "--run-dir", str(folder)]

    def wait_for(file: str) -> None:
        end = time.monotonic() + 300
        while not list(folder.glob(file)):
            assert time.monotonic() < end
            time.sleep(0.02)

    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_for("trials/run0-0002-*/config.yaml")
        process.kill()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        wait_for("trials/run0-0003-*/config.yaml")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130 and "of 5 trials finished, in " in said and "continue with: adarts explore" in said
    assert explored(folder, *words, "--slots", "2") == 0
    one, two = ((tmp_path / name / "trials.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two and result(tmp_path / "one") == result(folder)
