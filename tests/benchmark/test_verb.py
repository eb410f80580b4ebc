"""The smallest real run of every benchmark. No time is asserted: only that what is measured is there and fits together."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from adarts import kernels
from adarts.benchmark import growth
from adarts.benchmark.memory import Peak
from adarts.benchmark.training import TrainStep, train_variants
from adarts.benchmark.variants import Variant
from adarts.cli.benchmark import FORMS
from adarts.cli.main import main

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = ["--device", "cpu", "--threads", "1", "--repeats", "1", "--batch", "4", "--size", "8"]
SMALL = [*TINY, "--channels", "4", "--cells", "3"]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    kernels.use("auto")
    torch.set_num_threads(1)


def results(tmp_path: Path, *words: str) -> dict[str, Any]:
    json_file, plot = tmp_path / "out.json", tmp_path / "out.svg"
    assert main(["benchmark", *words, "--json", str(json_file), "--plot", str(plot)]) == 0
    ElementTree.parse(plot)
    content: dict[str, Any] = json.loads(json_file.read_text())
    assert content["format"] == "adarts-benchmark"
    assert content["benchmark"] == words[0]
    assert {"git_commit", "torch", "cpu", "threads", "kernels", "command"} <= set(content["provenance"])
    assert content["provenance"]["threads"] == 1
    return content


def test_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = results(tmp_path, "step", "--kernels", "torch", *SMALL, "--repeats", "2")
    (record,) = content["results"]
    assert record["time_ratio"] == record["memory_ratio"] == 1
    assert record["seconds"]["both"] >= record["seconds"]["alphas"] + record["seconds"]["weights"] > 0
    assert all(len(rounds) == 2 for rounds in record["rounds"].values())
    assert record["variant"]["k"] == 4
    assert 1 << 20 < record["memory"] < 200 << 20 < record["memory_idle"]
    said = capsys.readouterr()
    assert "cpu, 1 thread, medians of 2 interleaved rounds after 1 of warm-up" in said.out
    assert "round 2 of 2: adarts" in said.err


def test_step_compares_with_the_first(tmp_path: Path) -> None:
    content = results(tmp_path, "step", "--method", "darts,adarts", "--no-memory", *SMALL)
    darts, adarts = content["results"]
    assert adarts["time_ratio"] == pytest.approx(adarts["seconds"]["both"] / darts["seconds"]["both"])
    assert "memory" not in adarts


def test_data(tmp_path: Path) -> None:
    content = results(tmp_path, "data", "--images", "100", *TINY)
    without, with_cutout = content["results"]
    assert with_cutout["label"] == "crop, flip, cutout"
    for record in (without, with_cutout):
        assert record["images_per_second"] == pytest.approx(4 / record["seconds"])
        assert record["share_of_step"] == pytest.approx(2 * record["seconds"] / record["step_seconds"])


def test_training(tmp_path: Path) -> None:
    content = results(tmp_path, "training", "--genotype", "random:0", "--no-memory", *SMALL)
    plain, torch_kernels, native = content["results"]
    assert [record["variant"]["loop"] for record in content["results"]] == ["plain", "torch", "auto"]
    assert plain["speedup"] == 1
    for record in (torch_kernels, native):
        assert record["speedup"] == pytest.approx(record["images_per_second"] / plain["images_per_second"])


@pytest.mark.parametrize(("device", "precision"), [("cpu", "bfloat16"), ("cuda", "float32")])
def test_a_loop_is_not_called_native_where_it_is_not(device: str, precision: str) -> None:
    (variant,) = train_variants(["auto"], torch.device(device), precision=precision)
    assert variant.label == "ours, no native kernels here"


def test_the_largest_batch_of_a_method_that_has_one_k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adarts.benchmark.batch.peak_of", lambda kind, variant, device, threads: Peak(0, variant.batch))
    words = ["--method", "darts", "--memory", "1MB", "--device", "cpu", "--threads", "1", "--no-verify"]
    (record,) = results(tmp_path, "batch", *words)["results"]
    assert (record["label"], record["batch"]) == ("darts, k 1", 10**6)


def test_the_plain_loop_computes_what_ours_does() -> None:
    """In torch's modules and NCHW; otherwise it would be no yardstick."""
    scores = []
    for variant in train_variants(["plain", "torch"], channels=4, cells=3, batch=4, size=8):
        network = TrainStep(variant, torch.device("cpu"))._task.network
        if variant.loop == "plain":
            assert type(network.stem[1]) is torch.nn.BatchNorm2d
            assert not any(type(module).__name__ == "DepthwiseSeparable" for module in network.modules())
        x_bchw = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        scores.append(network(x_bchw)[0])
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-4)


def test_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(kind: str, variant: Variant, device: torch.device, threads: int) -> Peak:
        return Peak(0, 1000 * variant.batch**2 // variant.k)

    monkeypatch.setattr(growth, "peak_of", peak)
    content = results(tmp_path, "growth", "--vary", "k=1,4", "batch=4,8", *SMALL)
    k, batch = content["results"]
    assert (k["axis"], k["values"], k["memory"]) == ("k", [1, 4], [16000, 4000])
    assert k["memory_exponent"] == pytest.approx(-1)
    assert batch["memory_exponent"] == pytest.approx(2)
    assert k["seconds"][1] == batch["seconds"][0]  # the base, measured once


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sted"], "did you mean 'step'?"),
        (["step", "--method", "x"], "unknown method 'x'"),
        (["step", "--repeats", "0"], "--repeats must be at least 1"),
        (["step", "--threads", "0"], "--threads must be greater than 0"),
        (["step", "--device", "tpu"], "--device"),
        (["data", "--batch", "4,8"], "one value for each option"),
        (["batch", "--memory", "lots"], "is not an amount of memory"),
        (["step", "--device", "cpu", "--capture", "yes,no"], "'capture yes' and 'capture no' are the same here"),
        (["training", "--batch", "1"], "--batch must be greater than or equal to 2"),
        (["training", "--cells", "2"], "--cells must be greater than or equal to 3"),
        (["step", "--json", "/"], "/ cannot be written: it is a folder"),
        (["growth", "--vary", "x"], "nothing called 'x'"),
        (["training", "--loop", "fast"], "--loop: unknown 'fast'"),
        (["step", "--json", "/nowhere/out.json"], "cannot be written"),
    ],
)
def test_what_is_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", *words]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not said.out


@pytest.mark.parametrize("what", FORMS)
def test_help(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", what, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_against_the_textbook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = importlib.import_module("against_textbook")
    monkeypatch.setattr(sys, "argv", ["against_textbook.py", "--kernels", "torch", *SMALL])
    assert script.main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    content = json.loads(line)
    (ours,) = content["variants"]
    assert content["speedup"] == pytest.approx(content["textbook_seconds"] / ours["seconds"])
    assert content["memory_ratio"] == pytest.approx(ours["memory"] / content["textbook_memory"])
    assert (content["k"], content["threads"], content["repeats"]) == (4, 1, 1)


def test_the_textbooks_step_asks_for_all_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yardsticks = importlib.import_module("yardsticks")
    variant = Variant(method="pc-darts", channels=4, cells=3, batch=4, size=8)
    step = yardsticks.textbook_step(variant, torch.device("cpu"))
    step()
    assert step.net.cells[0].edges["0_2"].k == 4
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in step.net.parameters())
    assert step.x_ubchw.is_contiguous()
