"""`adarts truth`, as people call it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from made_sweep import CONV, SKIP, make_sweep

from adarts import zoo
from adarts.cli.main import main
from adarts.spaces import Genotype, get_space, random_genotype
from adarts.truth import truth_of
from adarts.truth.judge import judge_of


def words_of(text: str) -> list[list[str]]:
    """The lines of a table, cut where two blanks are."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["truth", SKIP]) == 0
    lines = words_of(capsys.readouterr().out)
    assert lines[0] == [SKIP]
    assert ["test accuracy, 200 epochs", "54.30 %", "15.61 %"] in lines
    assert ["rank among 15,625", "15,231", "15,221"] in lines
    assert ["points below the best", "40.08", "57.91"] in lines
    assert ["validation accuracy, 12 epochs", "33.94 %", "10.32 %"] in lines
    assert ["test accuracy, 12 epochs", "36.84 %", "11.08 %"] in lines
    assert lines[-1] == ["73,306 parameters (10 classes), 7.8 million MACs per image, index 1835"]


def test_several_cells_from_files_and_runs(
    finished_search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cell.json"
    file.write_text(Genotype.from_text(CONV).to_json())
    text = tmp_path / "cell.txt"
    text.write_text(SKIP + "\n")
    found = truth_of(Genotype.from_json((finished_search / "genotype.json").read_text()))
    assert main(["truth", SKIP, str(file), str(text), str(finished_search)]) == 0
    cells = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert cells == [SKIP, CONV, SKIP, found.arch]
    assert main(["truth", SKIP, str(file), "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["arch"] for record in records] == [SKIP, CONV]
    assert records[0]["cifar10"]["test"] == 54.2967
    assert records[0]["parameters"] == 73_306


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (SKIP.replace("skip_connect~2", "skip_conect~2"), "did you mean 'skip_connect'?"),
        ("nowhere.json", "no genotype at nowhere.json"),
        ("x" * 5_000, "not a file, a run, or a genotype"),
        ("|" * 70_000, "longer than 64 kB"),
        (".", "not a run folder"),
    ],
)
def test_what_is_no_cell(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["truth", word]) == 3
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and len(said) < 400


def test_cells_of_the_darts_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cell.json"
    file.write_text(random_genotype(get_space("s2"), 0).to_json())
    text = zoo.get("PC_DARTS_cifar").genotype.to_text()
    words = [str(file), text, "CARS_Lat_A", SKIP]
    assert main(["truth", *words]) == 0
    lines = words_of(capsys.readouterr().out)
    assert [[word] for word in words] == [line for line in lines if line[0] in words]
    found = [line[1] for line in lines if line[0] == "estimated validation accuracy, 98 epochs"]
    assert len(found) == 3 and found[1] == "94.82 %"
    assert ["points above random cells", "1.72"] in lines
    assert ["error of an estimate", "0.18 points"] in lines
    (marked,) = [line for line in lines if line[0].startswith("not to be trusted")]
    assert marked == [
        "not to be trusted, beyond its data: 5 skip connections in the normal cell; the data has at most 4"
    ]
    assert ["estimated from published figures of 1,218 other cells; this one was not trained"] in lines
    assert ["test accuracy, 200 epochs", "54.30 %", "15.61 %"] in lines
    assert main(["truth", "--json", "DARTS_V2", SKIP]) == 0
    estimated, true = json.loads(capsys.readouterr().out)
    assert estimated["estimated"] and estimated["error"] == 0.18 and "98 epochs" in estimated["figure"]
    assert estimated["cifar10"] == pytest.approx(94.33, abs=0.02)
    assert true["cifar10"]["test"] == 54.2967


@pytest.mark.parametrize(
    ("word", "message"), [("NASNet", "needs 4 nodes"), ("ASHA", "node 4 has the operation 'none'")]
)
def test_cells_without_an_estimate(word: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["truth", word]) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"adarts: {word}: no estimate: ") and message in said and said.count("\n") == 1


def test_a_bad_cell_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["random:nasbench201:1", str(tmp_path / "none.json"), "random:nasbench201:2", "random:s2:x"]
    assert main(["truth", *words]) == 3
    out, err = capsys.readouterr()
    assert out.count("million MACs per image") == 2
    assert [line.startswith("adarts: ") for line in err.splitlines()] == [True, True]
    assert main(["truth", "--json", *words]) == 3
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_floors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["truth", "floors"]) == 0
    lines = words_of(capsys.readouterr().out)
    assert "estimated validation accuracy, 98 epochs" in lines[0][0]
    assert lines[1] == ["CIFAR-10", "n", "mean ± sd", "worst", "best"]
    assert lines[2][:2] == ["random cells", "1,000"] and lines[2][2].startswith("93.1")
    assert main(["truth", "floors", "nasbench201"]) == 0
    assert ["all cells", "15,625", "87.06 ± 12.94", "10.00", "94.37"] in words_of(capsys.readouterr().out)
    assert main(["truth", "floors", "mine"]) == 2
    assert "nothing is known about cells of the space 'mine'" in capsys.readouterr().err


def test_nothing_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["truth"]) == 2
    assert "needs one or more cells" in capsys.readouterr().err


def test_correlation(finished_search: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = str(torch.get_num_threads())
    words = ["truth", "correlation", str(finished_search), "--cells", "5", "--threads", threads, "--device", "cpu"]
    assert main(words) == 0
    lines = words_of(capsys.readouterr().out)
    written = json.loads((finished_search / "correlation.json").read_text())
    first = [f"{found['first']:.2f}" for found in written["agreement"].values()]
    assert ["cell ranked first by the supernet", *first] in lines
    assert ["best of all cells", "94.37", "73.51"] in lines
    assert lines[-1] == [str(finished_search / "correlation.svg")]
    assert main([*words, "--cells", "1"]) == 2
    assert "--cells 1" in capsys.readouterr().err


def test_stability(finished_search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = {"adarts-0": SKIP, "darts-1": CONV, "adarts-2": CONV}
    sweep = make_sweep(tmp_path, finished_search, {name: Genotype.from_text(cell) for name, cell in cells.items()})
    assert main(["truth", "stability", str(sweep)]) == 0
    lines = words_of(capsys.readouterr().out)
    assert lines[1] == ["method", "n", "mean ± sd", "worst", "no none", "edges", "channels"]
    assert lines[2][:2] == ["adarts", "2"] and lines[2][3] == "54.30" and lines[2][5] == "0 %"
    assert lines[3][:2] == ["darts", "1"] and "±" not in lines[3][2]
    assert lines[4][:5] == ["all cells", "15,625", "87.06 ± 12.94", "10.00", "20 %"]
    assert json.loads((sweep / "stability.json").read_text())["format"] == "adarts-stability"


def test_stability_in_the_darts_space(
    finished_search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    cells = {"adarts-0": random_genotype(get_space("darts"), 0)}
    cells |= {name: zoo.get(cell).genotype for name, cell in (("adarts-1", "CARS_Lat_A"), ("fair-2", "FairDARTS_a"))}
    assert main(["truth", "stability", str(make_sweep(tmp_path, finished_search, cells))]) == 0
    lines = words_of(capsys.readouterr().out)
    assert lines[0] == ["estimated validation accuracy, 98 epochs, on CIFAR-10 in percent, over the seeds"]
    assert lines[1] == ["method", "n", "mean ± sd", "worst", "edges", "channels"]
    assert lines[2][:2] == ["adarts", "2"]
    assert lines[3][:2] == ["random cells", "1,000"] and lines[3][4] == "9 %"
    assert [line[0] for line in lines[4:8]] == [floor.name for floor in judge_of("darts").floors()[1:]]
    assert any(line[0].startswith("left out: method fair, seed 2: no estimate") for line in lines)
    assert any(
        line[0].startswith("not to be trusted, beyond its data: method adarts, seed 1: 5 skip") for line in lines
    )
