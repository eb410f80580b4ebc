"""`adarts explore`, as people call it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adarts.cli.main import main
from adarts.errors import Stopped
from adarts.exploring import Budget, Exploration, run_exploration
from adarts.truth import all_truths

WORDS = ["explore", "--searcher", "random", "rea", "--budget", "30m", "--noise"]


def explored(folder: Path, *words: str) -> int:
    return main([*WORDS, "--run-dir", str(folder), *words])


def test_the_table_the_files_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explored(tmp_path, "--runs", "5") == 0
    said = capsys.readouterr().out
    rows = {line[0]: line[1:] for line in (re.split(r"\s{2,}", line.strip()) for line in said.splitlines())}
    assert rows["searcher"] == ["n", "mean", "sd", "se", "front", "evaluations"]
    first, *records = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert (first["evaluator"], first["budget"], first["noise"]) == (
        "nasbench201",
        {"amount": 1800, "in_seconds": True},
        True,
    )
    assert [(record["searcher"], record["run"]) for record in records[:3]] == [("random", 0), ("rea", 0), ("random", 1)]
    accuracies = {truth.arch: truth.cifar10.test for truth in all_truths()}
    content = json.loads((tmp_path / "explore.json").read_text())
    for name in ("random", "rea"):
        mine = [record for record in records if record["searcher"] == name]
        found = content["searchers"][name]
        assert found["accuracy"]["n"] == len(mine) == 5
        assert found["accuracy"]["mean"] == pytest.approx(sum(record["accuracy"] for record in mine) / 5)
        assert found["accuracy"]["se"] == pytest.approx(found["accuracy"]["sd"] / 5**0.5)
        assert rows[name][:2] == ["5", f"{found['accuracy']['mean']:.3f}"]
        assert found["curve"]["mean"][-1] == pytest.approx(found["accuracy"]["mean"], abs=1e-3)
        assert all(10 <= record["accuracy"] <= 94.38 and record["found"] in accuracies for record in mine)
    assert rows["random, exact"][0] == f"{content['exact'][-1]['mean']:.3f}"
    page = (tmp_path / "report.html").read_text()
    assert "Searchers on nasbench201, 1,800 seconds" in page and page.count("<svg") == 1
    assert not re.search(r"(src|href)=.?https?:", page)


def test_a_stopped_exploration_continues_and_gets_more_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explored(tmp_path / "whole", "--runs", "4") == 0
    with monkeypatch.context() as context:
        answers = iter([None, None, Stopped("stopped by Ctrl-C", 130)])
        context.setattr("adarts.engine.StopSignals.asked", lambda self: next(answers))
        assert explored(tmp_path / "parts", "--runs", "2") == 130
    assert "3 runs finished" in capsys.readouterr().err
    with (tmp_path / "parts" / "runs.jsonl").open("a") as file:
        file.write('{"searcher": "rea", "ru')  # as a killed process leaves it
    assert explored(tmp_path / "parts", "--runs", "4") == 0
    whole, parts = ((tmp_path / name / "runs.jsonl").read_bytes() for name in ("whole", "parts"))
    assert whole == parts
    monkeypatch.setattr(Exploration, "run", lambda self, name, run: pytest.fail("a finished run was repeated"))
    assert explored(tmp_path / "parts", "--runs", "4") == 0


def test_options_reach_the_searchers(tmp_path: Path) -> None:
    def found(**options: int) -> list[str]:
        setup = Exploration(["rea"], Budget(40, False), runs=2, options=options)
        return [run["found"] for run in run_exploration(setup, tmp_path / str(options)).records["rea"]]

    assert found() == found(population=10) != found(population=2)
    assert found(population=2) == found(**{"rea.population": 2})


def test_a_searcher_on_the_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explore", "--searcher", "random", "--evaluator", "darts", "--budget", "20", "--runs", "3"]
    assert main([*words, "--run-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("estimated validation accuracy, 98 epochs, on CIFAR-10 in percent")
    assert "random, exact" not in said
    content = json.loads((tmp_path / "explore.json").read_text())
    assert content["searchers"]["random"]["evaluations"]["mean"] == 20
    assert 93.1 < content["searchers"]["random"]["accuracy"]["mean"] < 95


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--searcher needs one or more of: "),
        (["--searcher", "rae"], "unknown searcher 'rae'; did you mean 'rea'?"),
        (["--searcher", "rea", "rea"], "one or more searchers, each named once"),
        (["--searcher", "rea", "--budget", "0s"], "budget '0s' is no positive amount"),
        (["--searcher", "rea", "--runs", "0"], "--runs must be greater than 0, not '0'"),
        (["--searcher", "rea", "--evaluator", "nasbench"], "unknown evaluator 'nasbench'; did you mean 'nasbench201'?"),
        (["--searcher", "rea", "--evaluator", "darts"], "'darts' counts no seconds; give a number of evaluations"),
        (["--searcher", "rea", "--options", "populaton=3"], "has no option 'populaton'; did you mean 'population'?"),
        (["--searcher", "rea", "random", "--options", "population=3"], "searcher 'random' has no option 'population'"),
        (["--searcher", "rea", "--options", "cars.population=3"], "is of no searcher in this exploration: rea"),
        (["--searcher", "rea", "--data", "cifar100", "--noise"], "there is no noise to put back"),
        (["--searcher", "rea", "--data", "digits"], "knows no accuracies on 'digits'"),
    ],
)
def test_what_cannot_be_explored_is_refused_in_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explore", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_other_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explored(tmp_path / "mine", "--runs", "1") == 0
    assert explored(tmp_path / "mine", "--runs", "1", "--seed", "1") != 0
    assert "is of another exploration: seed differ" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    assert explored(tmp_path / "other", "--runs", "1") != 0
    assert "neither empty nor the folder of an exploration" in capsys.readouterr().err
