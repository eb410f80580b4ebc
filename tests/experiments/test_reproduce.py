"""Experiments of the paper: which runs they share, what they make of runs, and a small one from start to end."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from adarts.cli.main import main
from adarts.config.loading import to_yaml
from adarts.config.settings import SupernetSettings
from adarts.engine.config_file import compared_settings, differing_keys
from adarts.engine.files import to_json
from adarts.experiments.reproducing import EXPERIMENTS, Plan, budget_of
from adarts.experiments.reproducing.ablation import BY_EPOCH
from adarts.experiments.reproducing.page import write_results
from adarts.experiments.reproducing.runs import Config, Runs
from adarts.experiments.reproducing.table2 import Table2
from adarts.report.tables import NOT_MEASURED, Table
from adarts.spaces import Genotype, get_space
from adarts.supernet import Supernet
from adarts.training.model import resolve_genotype
from adarts.zoo.table1 import TABLE
from browser import CHROMIUM, Browser


def plant(runs: Runs, config: Config, cells: Genotype, **summary: Any) -> None:
    """Write the run folder of a finished run with these results."""
    place = runs.place(config)
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(to_yaml(config))
    (place / "genotype.json").write_text(cells.to_json())
    skips = {kind: cells.num_operations(kind, "skip_connect") for kind in cells.cells}
    epochs = [{"epoch": epoch, "skips": skips} for epoch in range(2)]
    (place / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in epochs))
    (place / "environment.json").write_bytes(to_json({"device": "cpu", "git_commit": "0123abc"}))
    (place / "summary.json").write_bytes(to_json({"skips": skips, "seconds": 10.0, **summary}))


def estimated(value: float) -> dict[str, Any]:
    return {"cifar10": value, "estimated": True, "error": 0.18, "beyond": None}


def cells_of(table: Table, name: str) -> dict[str, list[str]]:
    """A column of the CSV file by the first cell of its row; all parts of it if it has several."""
    head, *rows = csv.reader(io.StringIO(table.csv()))
    wanted = [index for index, title in enumerate(head) if title == name or title.startswith(f"{name}, ")]
    assert wanted, head
    return {row[0]: [row[index] for index in wanted] for row in rows}


@pytest.fixture
def ablation(tmp_path: Path) -> tuple[Table2, Runs]:
    """Table II with three searches of each row but one, two of them trained, and the first trained twice."""
    experiment = Table2(Plan(budget_of("smoke"), seeds=3, trained=2))
    runs = Runs(tmp_path)
    gain = {"darts": 0.0, "darts-random": -0.2, "darts-random-moving": -0.4, "adarts": 0.5}
    for number, config in enumerate(experiment.searches()):
        if config.method in gain:
            value = 93 + 0.1 * config.seed + gain[config.method] * (1 + 0.2 * config.seed)
            plant(runs, config, resolve_genotype(f"random:{number}"), truth=estimated(value))
    accuracies = iter(range(100))
    for training in experiment.trainings(runs.cells):
        assert training.genotype is not None
        plant(runs, training, resolve_genotype(training.genotype), test_accuracy=0.5 + next(accuracies) / 1000)
    return experiment, runs


@pytest.mark.parametrize("scale", ["cpu", "paper"])
def test_no_search_is_made_twice(scale: str, tmp_path: Path) -> None:
    plan, runs = Plan(budget_of(scale), seeds=1), Runs(tmp_path)
    names = ("table2", "table3", "fig1", "fig8", "fig9", "fig10")
    places = {name: {runs.place(config).name for config in EXPERIMENTS[name](plan).searches()} for name in names}
    assert places["fig1"] | places["fig8"] | places["fig9"] < places["table2"]
    (shared,) = places["table2"] & places["table3"]
    assert places["fig8"] == {shared}
    attention = runs.place(plan.search("darts-attention", 0)).name
    assert places["table2"] & places["fig10"] == {shared, attention}
    steps = [{runs.step_file(config) for config in EXPERIMENTS[name](plan).steps()} for name in ("table2", "fig10")]
    assert len(steps[0] & steps[1]) == 2
    assert len(places["table3"]) == (5 if scale == "cpu" else 9) and len(places["fig10"]) == 5


def test_adarts_with_all_channels_is_darts_with_attention() -> None:
    plan = Plan(budget_of("cpu"))
    configs = [plan.search("adarts", 0, edge__k=1), plan.search("darts-attention", 0)]
    assert differing_keys(*map(compared_settings, configs)) == ["method", "edge.selector"]
    found = []
    for config in configs:
        torch.manual_seed(0)
        supernet = Supernet(get_space("darts"), SupernetSettings(channels=4, cells=3), config.edge, 3)
        out = supernet(torch.randn(2, 3, 8, 8))
        out.square().sum().backward()
        found.append([out, *(p.grad for p in supernet.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 100 and all(map(torch.equal, *found))


def test_captions_state_the_budget_of_the_searches_that_are_shown() -> None:
    plan = Plan(budget_of("paper"), trained=0)
    words = EXPERIMENTS["table2"](plan).caption()
    assert "Searches of darts: 50 epochs of one pass" in words and "Trainings" not in words
    assert "Searches of darts-random, darts-random-moving, darts-attention, adarts: 80 epochs" in words
    words = EXPERIMENTS["table3"](Plan(budget_of("cpu"))).caption()
    assert "Searches of adarts: 24 epochs of 10 steps of 96 images, 6 of them warm-up" in words
    assert (
        "Trainings: 2 epochs of 300 steps" in words and "16x16 pixels, 80 % of the training images, cutout 4" in words
    )
    assert "Trainings" not in EXPERIMENTS["fig9"](Plan(budget_of("cpu"))).caption()


def test_the_name_of_a_run_tells_apart_what_makes_another_run(tmp_path: Path) -> None:
    plan, runs = Plan(budget_of("smoke")), Runs(tmp_path)
    one = plan.search("adarts", 0)
    others = [plan.search("darts", 0), plan.search("adarts", 1), plan.search("adarts", 0, edge__k=2)]
    trainings = [
        plan.training("ADARTS_V1", 0),
        plan.training("ADARTS_V1", 0, cutout=False),
        plan.training("random:1", 0),
    ]
    assert len({runs.place(config) for config in (one, *others, *trainings)}) == 7
    elsewhere = Plan(
        budget_of("smoke"), one.run.model_copy(update={"threads": 2}), {"root": tmp_path, "download": True}
    )
    assert runs.place(elsewhere.search("adarts", 0)) == runs.place(one)


def test_table2_has_spreads_pairs_and_both_variances(ablation: tuple[Table2, Runs]) -> None:
    experiment, runs = ablation
    results = experiment.results(runs)
    main_table, pairs, costs = results.tables
    found = cells_of(main_table, "estimated: accuracy of the found cells (%)")
    assert found["ADARTS"][:2] == ["3", "93.7"] and found["DARTS"][:2] == ["3", "93.1"]
    assert found["DARTS + attention mechanism"][:2] == ["0", NOT_MEASURED]
    assert found["no search: random cells"][0] == "1000"
    assert cells_of(main_table, "published: CIFAR-10 error (%)")["ADARTS"] == ["2.46"]
    errors = cells_of(main_table, "measured: digits error (%)")
    assert errors["ADARTS"][0] == errors["no search: random cells"][0] == "2"
    assert cells_of(main_table, "measured: transfer error (%)")["ADARTS"][:2] == ["0", NOT_MEASURED]
    against = cells_of(pairs, "estimated: difference of the accuracy (points)")
    assert [float(part) for part in against["ADARTS"][:3]] == pytest.approx([3, 0.6, 0.1])
    assert "DARTS" not in against and against["DARTS + attention mechanism"][1] == NOT_MEASURED
    assert cells_of(costs, "measured: seconds of a search")["ADARTS"][:2] == ["3", "10"]
    assert cells_of(costs, "measured: memory of a step (MB)")["ADARTS"] == [NOT_MEASURED]
    variance, rank = results.findings
    assert (
        "(12 trainings of 8 cells)" in variance and "n = 10" in rank
    )  # the second training of cells is not another pair


def test_figs_1_and_9_show_every_seed_of_the_searches_of_table2(ablation: tuple[Table2, Runs]) -> None:
    experiment, runs = ablation
    fig1 = EXPERIMENTS["fig1"](experiment.plan).results(runs)
    (table,) = fig1.tables
    skips = [int(cell) for (cell,) in cells_of(table, "counted: skips, normal cell").values()]
    (drawn,) = fig1.cells
    assert len(skips) == 3 and drawn.genotype.num_operations("normal", "skip_connect") == max(skips)
    assert fig1.findings[0].startswith(f"{sum(number > 2 for number in skips)} of 3 searches")
    normal, reduction = EXPERIMENTS["fig9"](experiment.plan).results(runs).figures
    assert [chart.title for chart in normal.charts] == [form.title for form in BY_EPOCH]
    for figure in (normal, reduction):
        for chart in figure.charts:
            of_darts, own = chart.series
            assert len(own.runs) == 3 and of_darts.runs[0] == figure.charts[0].series[1].means()


def test_table1_has_every_row_of_the_paper_and_says_what_was_not_measured(tmp_path: Path) -> None:
    (table,) = EXPERIMENTS["table1"](Plan(budget_of("cpu"))).results(Runs(tmp_path)).tables
    rows = {row[0]: row for row in table.words()}
    assert [name for name in rows if not name.startswith("no search")] == [row.system for row in TABLE]
    heads = [column.heading for column in table.shown]
    adarts = dict(zip(heads, rows["ADARTS + cutout"], strict=True))
    assert (
        adarts["published: CIFAR-10 error (%)"] == "2.46"
        and adarts["counted: parameters of the published network (M)"] == "2.90"
    )
    assert adarts["search here"] == "adarts" and adarts["estimated: accuracy of the found cells (%)"] == NOT_MEASURED
    resnet = dict(zip(heads, rows["ResNet (depth 1202)"], strict=True))
    assert resnet["published: parameters (M)"] == "10.2"
    assert "19.4 M parameters, not 10.2 M" in dict(table.notes)["ResNet (depth 1202)"]
    assert (
        resnet["search here"] == "none"
        and resnet["measured: cifar10 error of the published network (%)"] == NOT_MEASURED
    )
    assert rows["AmoebaNet-B"][heads.index("counted: parameters of the published network (M)")] == "cells unknown"


def test_the_files_of_an_experiment(ablation: tuple[Table2, Runs]) -> None:
    experiment, runs = ablation
    page = write_results(experiment, runs).read_text()
    folder = runs.folder / "table2"
    expected = {f"{name}.{kind}" for name in ("table2", "table2-paired", "table2-cost") for kind in ("csv", "tex")}
    assert {path.name for path in folder.iterdir()} == expected | {
        "report.html",
        "table2-estimate.svg",
        "table2-estimate.pdf",
    }
    links = re.findall(r'<a href="([^"]+)"', page)
    assert len(links) == 12 + 14 and all((folder / link).parent.is_dir() for link in links)
    assert page.count("<details") == 4 + 1, "the recipes of four methods and of one training"
    assert "0123abc" in page and "n = 10" in page and "2.46" in page
    assert not re.search(r"<(script|img|link)|url\(|run_dir:", page)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_the_page_in_a_browser(ablation: tuple[Table2, Runs], tmp_path: Path) -> None:
    page = write_results(*ablation)
    grounds = set()
    with Browser(tmp_path / "profile") as browser:
        browser.send("Log.enable")
        browser.send("Runtime.enable")
        browser.send("Page.navigate", url=page.as_uri())
        browser.wait("document.readyState === 'complete' && document.querySelectorAll('svg.chart').length === 1")
        for scheme in ("light", "dark"):
            browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            grounds.add(browser.run("getComputedStyle(document.body).backgroundColor"))
            for width in (1280, 360):
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                browser.send("Emulation.setDeviceMetricsOverride", **size)
                assert browser.run("document.documentElement.scrollWidth") <= width, "tables scroll, the page does not"
                narrow = browser.run(
                    "Math.min(...[...document.querySelectorAll('.results tbody td')].map(e => e.clientWidth))"
                )
                assert narrow > 40
        methods = {event["method"] for event in browser.events}
    assert len(grounds) == 2
    assert not methods & {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}, browser.events


def test_fig8_from_start_to_end_and_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "fig8", "--scale", "smoke", "--seeds", "1", "--threads", "1", "--run-dir", str(tmp_path)]
    assert main([*words, "--forecast"]) == 0
    assert "to do: searches 1, trainings 0, measured steps 0 (finished runs: 0); about" in capsys.readouterr().out
    assert not (tmp_path / "searches").exists()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "(finished runs: 0); about" in said, "the forecast is remembered"
    assert re.search(r"1/1 after .*: adarts-\w+-seed0: skips \d \+ \d, estimate 9\d", said)
    table = (tmp_path / "fig8" / "fig8.csv").read_bytes()
    published, found = csv.reader(io.StringIO(table.decode())), None
    rows = {row[0]: row for row in published}
    assert rows["ADARTS_V1, most probably the paper's"][4].startswith("2.897902")
    found = rows["found, seed 0"]
    summary = json.loads(next((tmp_path / "searches").glob("*/summary.json")).read_text())
    assert [int(found[1]), float(found[5])] == [summary["skips"]["normal"], summary["truth"]["cifar10"]]
    assert (tmp_path / "fig8" / "fig8-1-normal.svg").exists()
    assert main(words) == 0
    assert "to do: searches 0, trainings 0, measured steps 0 (finished runs: 1)" in capsys.readouterr().out
    assert (tmp_path / "fig8" / "fig8.csv").read_bytes() == table


def test_what_cannot_work_is_said_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "tabel2", "--scale", "smoke", "--run-dir", str(tmp_path)]) == 2
    assert "did you mean 'table2'?" in capsys.readouterr().err
    nowhere = ["--root", str(tmp_path / "nowhere"), "--run-dir", str(tmp_path)]
    assert main(["reproduce", "fig8", "--scale", "cpu", "--seeds", "1", *nowhere]) != 0
    assert "cifar10" in capsys.readouterr().err.casefold()
    assert not (tmp_path / "searches").exists()
    on_slurm = ["reproduce", "fig8", "--on", "slurm", "--run-dir", str(tmp_path / "new")]
    for words, said in ([], "add --scale"), (["--scale", "smoke", "--slots", "2"], "--slots is for this machine"):
        assert main([*on_slurm, *words]) == 2
        assert said in capsys.readouterr().err
    assert main(["reproduce", "fig8", "--scale", "smoke", "--slurm.time", "9", *on_slurm[-2:]]) == 2
    assert "add --on slurm" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.full
def test_a_killed_reproduction_ends_with_the_identical_tables(tmp_path: Path) -> None:
    """Killed twice with SIGKILL, once in a search and once later, with two runs at once and with one."""
    words = [sys.executable, "-m", "adarts", "reproduce", "table3", "--scale", "smoke", "--threads", "1"]

    def tables(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "table3").glob("*.csv")}

    whole = tmp_path / "whole"
    subprocess.run([*words, "--run-dir", str(whole)], check=True, stdout=subprocess.DEVNULL)
    for slots in ("1", "2"):
        folder = tmp_path / f"slots{slots}"
        command = [*words, "--run-dir", str(folder), "--slots", slots]
        for pattern in ("searches/*/metrics.jsonl", "trainings/*/config.yaml"):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, process_group=0)
            end = time.monotonic() + 200
            while not list(folder.glob(pattern)) and time.monotonic() < end and process.poll() is None:
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        assert tables(folder) == tables(whole) != {}


@pytest.mark.full
@pytest.mark.timeout(900)
def test_all_at_scale_smoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "all", "--scale", "smoke", "--threads", "1", "--run-dir", str(tmp_path)]) == 0
    assert [line.split("/")[-2] for line in capsys.readouterr().out.splitlines()[-len(EXPERIMENTS) :]] == list(
        EXPERIMENTS
    )
    figures = {path.stem for path in tmp_path.glob("*/*.pdf")}
    assert figures >= {"fig1-by-epoch", "fig9", "fig10-memory", "fig10-time", "fig10-estimate", "fig10-accuracy"}
    for name in ("table2", "table2-paired", "table2-cost", "fig10", "fig10-cost", "fig9"):
        text = (tmp_path / name.split("-")[0] / f"{name}.csv").read_text()
        assert NOT_MEASURED not in re.sub(r".*transfer.*|,0,not measured,,,,", "", text), name
