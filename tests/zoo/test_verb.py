"""``adarts zoo``: list, show, draw."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adarts.cli.main import main
from adarts.models import Network, count_parameters
from adarts.spaces import DARTS, Genotype, random_genotype
from adarts.zoo import get


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["zoo", *words]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["zoo", *words]) in (2, 3)
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    return error


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    table, note = said(capsys).split("\n\n")
    assert len(table.splitlines()) == 106
    (row,) = (line.split() for line in table.splitlines() if line.startswith("ADARTS_V1 "))
    assert row == ["ADARTS_V1", "2023", "2.46", "17.06", "2.9", "2.898", "ADARTS,", "V1"]
    assert said(capsys, "list") == said(capsys)
    assert "published: million parameters" in note and "counted: " in note and "`adarts zoo show NAME`" in note


@pytest.mark.parametrize("columns", ["80", "120", None])
def test_a_network_a_line(
    columns: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    head, *lines = said(capsys).splitlines()
    assert len(lines) == 105 + 5 and all(len(line) <= int(columns or 200) for line in lines)
    assert head.split() == ["name", "year", "C10", "C100", "published", "counted", "what"]
    end = head.index("counted") + len("counted")
    assert all(re.fullmatch(r"\w+ .* \d+\.\d{3}", line[:end]) for line in lines[:105])  # numbers end below each other
    assert any("…" in line for line in lines) == (columns == "80")


def test_filter_and_sort(capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[0] for line in said(capsys, "--filter", "GDAS").splitlines()[1:3]] == ["GDAS_F1", "GDAS_V1"]
    found = json.loads(said(capsys, "--filter", "sgas", "--sort", "error", "--json"))
    assert [record["name"] for record in found][:2] == ["SGAS_CRI1_3", "SGAS_CRI1_1"]
    assert found[0]["cifar10_error"] == 2.39 and found[0]["source"].startswith("github.com/lightaime/sgas")
    assert (
        Genotype.from_dict(found[0]["genotype"]) == get("SGAS_CRI1_3").genotype
        and found[0]["source_name"] == "Cri1_CIFAR_3"
    )
    assert "no network in the zoo has 'xyz'" in refused(capsys, "--filter", "xyz")
    assert json.loads(said(capsys, "--filter", "xyz", "--json")) == []
    assert "--sort" in refused(capsys, "--sort", "beauty")


def test_show_draws_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "show", "adarts-v1")
    assert "  node 2 = sep_conv_3x3(1) + sep_conv_3x3(0)\n" in shown and "  output = 2 ++ 3 ++ 4 ++ 5\n" in shown
    assert (
        "published: 2.46 % error on CIFAR-10, 17.06 % error on CIFAR-100, 2.9 million parameters (Table I of" in shown
    )
    assert shown.splitlines()[-1].startswith("2,897,902 parameters, ")
    small = said(capsys, "ADARTS_V1", "--channels", "8", "--cells", "5", "--num-classes", "3", "--image-size", "16")
    assert small.splitlines()[-1].endswith("(channels: 8, cells: 5, classes: 3, pixels: 16x16)")
    raw = said(capsys, "show", "ASHA200", "--channels", "4", "--cells", "3")
    assert raw.startswith("ASHA: ") and "paper: unknown" in raw and "darts/genotypes.py, as ASHA200\n" in raw


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(said(capsys, "show", "GDAS_F1", "--channels", "8", "--cells", "5", "--json"))
    assert Genotype.from_dict(shown["genotype"]) == get("GDAS_F1").genotype
    assert shown["parameters"] == 2_543_014 > shown["shown"]["parameters"] and shown["shown"]["macs"] > 0


def test_hand_designed_networks_are_shown_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert said(capsys, "show", "vgg19_bn").splitlines()[-1].startswith("20,040,522 parameters, ")
    assert "has no cells to draw" in refused(capsys, "show", "vgg19_bn", "--svg", str(tmp_path / "a.svg"))
    assert "designed by hand" in refused(capsys, "show", "vgg19_bn", "--cells", "3")


@pytest.mark.parametrize("kind", ["run", "file", "json", "text", "random", "of a training"])
def test_whatever_a_training_takes_is_shown(kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cells = random_genotype(DARTS, 3)
    file = tmp_path / "genotype.json"  # as a run folder holds it
    file.write_text(cells.to_json())
    reference = {"run": str(tmp_path), "of a training": f"{tmp_path}/", "file": str(file), "json": cells.to_json()}
    reference |= {"text": cells.to_text(), "random": "random:3"}
    small = ("--channels", "4", "--cells", "3")
    size = said(capsys, "show", reference[kind], *small).splitlines()[-1]
    assert size.startswith(f"{count_parameters(Network(cells, 10, 4, 3)):,} parameters, ")
    shown = json.loads(said(capsys, "show", reference[kind], *small, "--json", "--svg", str(tmp_path / "a.svg")))
    assert Genotype.from_dict(shown["genotype"]) == cells and (tmp_path / "a_normal.svg").exists()
    assert "no genotype at" in refused(capsys, "show", str(tmp_path / "nowhere"))
    assert "random: needs a seed" in refused(capsys, "show", "random:x")


def test_cells_are_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = ("--channels", "4", "--cells", "3")
    lines = said(capsys, "show", "GDAS_F1", *small, "--svg", str(tmp_path / "cells.svg")).splitlines()
    paths = [tmp_path / f"cells_{kind}.svg" for kind in ("normal", "reduction")]
    assert lines[-2:] == [str(path) for path in paths]
    for path in paths:
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "norm_max_pool_3x3" in paths[1].read_text()
    assert "cells_normal.svg: No such" in refused(
        capsys, "show", "GDAS_F1", *small, "--svg", str(tmp_path / "no" / "cells.svg")
    )
    said(capsys, "show", "GDAS_F1", *small, "--svg", str(tmp_path / "plain"))
    assert (tmp_path / "plain_normal.svg").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["show", "ADARTS_V7"], "did you mean 'ADARTS_V"),
        (["ADARTS_V7"], "did you mean 'ADARTS_V"),
        (["show"], "NAME"),
        (["show", "NOPE"], "unknown network 'NOPE'; `adarts zoo` lists what there is"),
        (["show", "SETN", "--image-size", "0"], "of at least 1x1 pixels"),
        (["show", "SETN", "--image-size", "-3"], "of at least 1x1 pixels, not -3x-3"),
        (["show", "SETN", "--cells", "-1"], "cells of at least 1, not -1"),
        (
            ["show", "SETN", "--channels", "100000000000"],
            "--channels must be less than or equal to 10000, not '100000000000'",
        ),
        (["show", "SETN", "--channels", "many"], "--channels"),
        (["--filters", "x"], "unknown option '--filters'; did you mean '--filter'?"),
    ],
)
def test_refusals(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert what in refused(capsys, *words)


@pytest.mark.parametrize("words", [["zoo", "--help"], ["zoo", "show", "--help"], ["zoo", "--filter", "adarts"]])
def test_help_and_list_need_no_torch(words: list[str]) -> None:
    code = f"import sys; from adarts.cli.main import main; main({words!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
