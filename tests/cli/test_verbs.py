"""The verbs, done for real at the smallest budget."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from adarts.cli.main import main
from adarts.config.loading import SCALES, read_config_file
from adarts.config.settings import TrainConfig
from adarts.errors import Stopped
from adarts.experiments import demo
from adarts.experiments.next_steps import NEXT_STEPS, after_search
from adarts.methods import list_methods
from adarts.searching import search_config
from adarts.spaces import load_genotype
from adarts.training import TrainResult, run_training

SMALL = ["--scale", "smoke", "--images.per-class", "4", "--threads", "1"]


def test_search_train_evaluate_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def last_line(*words: str) -> str:
        assert main(words) == 0
        return capsys.readouterr().out.splitlines()[-1]

    search = Path(last_line("search", *SMALL))
    assert (search / "genotype.json").is_file()
    assert search.samefile("runs/search/latest")

    train = Path(last_line("train", *SMALL))  # of what the latest search found
    random = Path(last_line("train", *SMALL, "--genotype", "random:1", "--training.epochs", "1"))
    summary = json.loads((train / "summary.json").read_text())
    assert load_genotype(train / "genotype.json") == load_genotype(search / "genotype.json")

    again = f"test accuracy {summary['test_accuracy']:.2%} of {summary['test_images']:,} images"
    assert last_line("evaluate", str(train), "--device", "cpu", "--threads", "1").startswith(again)
    assert last_line("evaluate", random.name).startswith("test accuracy ")

    page = Path(last_line("report", str(search), train.name, str(random)))
    assert page.samefile(search / "comparison.html")
    assert Path(last_line("report", "latest")).samefile(random / "report.html")  # the newest of all

    file = tmp_path / "copy.yaml"  # a run's own configuration does the same again
    file.write_text((search / "config.yaml").read_text())
    assert last_line("search", "--config", str(file), "--print-config") == file.read_text().splitlines()[-1]


def test_a_run_says_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def next_command(words: list[str]) -> list[str]:
        assert main(words) == 0
        said = re.findall(r"^next: .*?(adarts (?:train|search) .*)$", capsys.readouterr().out, re.MULTILINE)
        return shlex.split(said[-1])[1:] if said else []

    train = next_command(["search", *SMALL, "--space", "nasbench201", "--run-dir", "my search"])
    assert train[:3] == ["train", "--genotype", "my search"]
    random = next_command([*train, *SMALL, "--training.epochs", "3", "--run-dir", "found"])
    assert next_command(random) == []
    budgets = [read_config_file(Path(name, "config.yaml")) for name in ("found", "found-random")]
    assert {name for name in budgets[0] if budgets[0][name] != budgets[1][name]} == {"genotype", "run"}
    text = Path("my search", "genotype.txt").read_text()
    assert next_command(["train", "--genotype", text, *SMALL]) == []


def test_the_training_after_a_search_tests_on_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    search = search_config(data="folder:my photos", scale="smoke", images={"test_fraction": 0.1, "size": 24})
    words = shlex.split(after_search(search, Path("it's")).removeprefix("next: adarts "))
    assert main([*words, "--print-config"]) == 0
    trained = yaml.safe_load(capsys.readouterr().out)
    assert (trained["data"], trained["genotype"]) == ("folder:my photos", "it's")
    assert (trained["images"]["test_fraction"], trained["images"]["size"]) == (0.1, 24)


def test_a_limit_that_is_none_is_refused_before_anything_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *SMALL, "--time-limit", "nonsense", "--print-config"]) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.startswith("adarts: --time-limit") and said.err.count("\n") == 1


def test_evaluate_names_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "nowhere"]) == 3
    assert capsys.readouterr().err.startswith("adarts: no run at nowhere")


def test_a_demo_that_is_stopped_and_moved_continues_and_compares_found_and_random_cells(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []

    def stop_in_the_second_training(config: TrainConfig) -> TrainResult:
        seen.append(config)
        if len(seen) == 2:
            raise Stopped("stopped by SIGINT at epoch 1/2; continue with: adarts train", 130)
        return run_training(config)

    monkeypatch.setattr(demo, "run_training", stop_in_the_second_training)
    assert main(["demo", "--run-dir", "my demo", "--seed", "3", "--scale", "smoke"]) == 130
    said = capsys.readouterr().err.strip()
    assert said.endswith("continue with: adarts demo --run-dir 'my demo' --seed 3 --scale smoke")

    folder = tmp_path / "moved"
    (tmp_path / "my demo").rename(folder)
    words = ["demo", "--run-dir", str(folder), "--seed", "3", "--scale", "smoke"]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert first.count("epoch 2/2") == 5  # search and first training are finished
    assert main(words) == 0
    second = capsys.readouterr().out
    assert "epoch 2/2" not in second  # all runs are finished
    assert second.endswith(first[first.index("The found cell reaches") :])

    runs = {"search", *(f"{side}-{seed}" for side in ("found", "random") for seed in (9, 10, 11))}
    assert {path.name for path in folder.iterdir()} == {*runs, "report.html", "summary.json"}
    summary = json.loads((folder / "summary.json").read_text())
    (size,) = {run["parameters"] for run in summary["found"]}
    assert all(size <= run["parameters"] < 1.5 * size for run in summary["random"])
    page = (folder / "report.html").read_text()
    assert f"{summary['truth']['cifar10']:.2f} % on CIFAR-10" in page
    assert all(command in page and command in first for _, command in NEXT_STEPS)


def test_no_verb_shows_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(command in shown for _, command in NEXT_STEPS)


@pytest.mark.parametrize("words", [command.split() for _, command in NEXT_STEPS], ids=" ".join)
def test_the_commands_that_are_shown_next_are_valid(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if words[1] == "run":  # it has no --print-config; its options are checked before its images are missed
        assert main(words[1:]) == 2 and "there is no such folder" in capsys.readouterr().err
        return
    assert main([*words[1:], "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"] == words[3]


def test_methods(capsys: pytest.CaptureFixture[str]) -> None:
    names = [info.name for info in list_methods()]
    assert main(["methods"]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert set(names) <= set(shown)
    assert main(["methods", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == names
    assert main(["methods", "show", "pc-darts"]) == 0
    shown = capsys.readouterr().out
    facts, idea = shown.split("\n\n", 1)
    assert yaml.safe_load(facts)["defaults"]["edge"]["selector"] == "first"
    assert "then all channels are shuffled" in idea
    assert main(["methods", "pc-darts"]) == 0
    assert capsys.readouterr().out == shown
    assert main(["methods", "--json", "adarts"]) == 0
    assert [record["name"] for record in json.loads(capsys.readouterr().out)] == ["adarts"]
    assert main(["methods", "show", "gdas"]) == 0
    assert re.search(r"^  last_temperature +0\.1 +tau of the last epoch\.$", capsys.readouterr().out, re.MULTILINE)


def test_configs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in shown if name in SCALES] == list(SCALES)
    assert main(["configs", "show", "paper"]) == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown)["cifar"]["search"]["images"]["split"] == "index"
    assert main(["configs", "paper"]) == 0
    assert capsys.readouterr().out == shown


def test_doctor_looks_where_it_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    assert main(["doctor", "--root", str(tmp_path), "--runs", str(tmp_path / "not" / "yet")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {" ".join(words[:2]): words for words in lines}
    assert "-" in found["data cifar10"] and "--download" in found["data cifar10"]
    assert "warn" in found["data cifar100"] and "missing:" in found["data cifar100"]  # an empty folder is no data set
    assert any(words[0] == "threads" for words in lines if words)
    assert lines[-1][:2] == ["to", "mend:"] and "cifar100;" in lines[-1]
    assert not (tmp_path / "not").exists()
