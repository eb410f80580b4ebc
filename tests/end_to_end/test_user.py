"""What a user meets: the two commands after each other, and one clear line for what cannot work."""

import json
from pathlib import Path

import pytest

from adarts.cli.main import main

from .harness import SMOKE, adarts, finish


@pytest.mark.full
def test_search_then_train_then_evaluate(tmp_path: Path) -> None:
    finish(adarts("search", *SMOKE, "--runs", tmp_path))
    found = (tmp_path / "search" / "latest").resolve()
    files = {path.name for path in found.iterdir()}
    assert files >= {
        *("config.yaml", "environment.json", "log.txt", "metrics.jsonl", "summary.json"),
        *("genotype.json", "genotype.txt", "cell_normal.svg", "cell_reduction.svg", "report.html"),
    }
    summary = json.loads((found / "summary.json").read_text())
    assert summary["epochs"] == 2 and summary["skips"].keys() == {"normal", "reduction"}
    finish(adarts("train", *SMOKE, "--runs", tmp_path, "--genotype", found))
    trained = (tmp_path / "train" / "latest").resolve()
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["test_images"] == 355
    out, _ = finish(adarts("evaluate", trained))
    assert f"{summary['test_accuracy']:.2%}" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["search", "--scale", "smal"], 2, "unknown scale 'smal'"),
        (["search", "--method", "adrats"], 2, "did you mean 'adarts'"),
        (["search", "--data", "digit"], 2, "did you mean 'digits'"),
        (["search", "--epohcs", "3"], 2, "unknown option '--epohcs'"),
        (["search", "--method", "adarts", "--scale", "smoke", "--edge.k", "3"], 2, "edge.k = 3 does not divide"),
        (["search", "--data", "folder:nowhere"], 3, "nowhere"),
        (["search", "--data", "cifar10", "--images.root", "nowhere"], 3, "--download"),
        (["train", "--scale", "smoke", "--genotype", "nowhere.json"], 3, "nowhere.json"),
        (["train", "--scale", "smoke", "--genotype", "random:x"], 3, "seed"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(
    words: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--runs", str(tmp_path / "runs")]) == code
    err = capsys.readouterr().err
    assert says in err and len(err.strip().splitlines()) == 1, err
    assert not list(tmp_path.rglob("config.yaml"))
