"""Wrong words on the command line: one line that says what, where and the nearest name, and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from adarts.cli.main import main
from adarts.spaces import NASBENCH201, random_genotype

WRONG = {
    "search --serch.epochs 3": "unknown option '--serch.epochs'; did you mean '--search.epochs'?",
    "search --epochs 3": "unknown option '--epochs'; did you mean '--search.epochs'?",
    "search --zzz": "unknown option '--zzz'; `adarts search --help` lists them",
    "search --run.device cpu": "unknown option '--run.device'; did you mean '--device'?",
    "search extra": "unexpected 'extra'; `adarts search --help` lists the options",
    "search --seed": "--seed: expected one argument; see `adarts search --help`",
    "search --seed x": "--seed must be a valid integer, not 'x'",
    "search --seed -3": "--seed must be greater than or equal to 0, not '-3'",
    "search --edge.k 0": "--edge.k must be greater than 0, not '0'",
    "search --images.size 3.5": "--images.size must be a valid integer, not '3.5'",
    "search --threads none --time-limit none --images.size x": "--images.size must be a valid integer, not 'x'",
    "search --edge.selector frst": (
        "--edge.selector must be 'all', 'first', 'random' or 'attention', not 'frst'; did you mean 'first'?"
    ),
    "search --method adarts --edge.selector all": "edge: selector 'all' uses every channel, so edge.k must be 1, not 4",
    "search --method darts --edge.freeze": (
        "edge: edge.freeze requires edge.selector 'attention' or 'random'; 'all' never changes"
    ),
    "search --method adarts --edge.freeze --edge.mask-scope sample": "edge: edge.freeze requires edge.mask_scope 'batch'",
    "search --method adarts --edge.freeze --search.warmup-epochs 0": (
        "edge.freeze needs a warm-up to choose the channels; set search.warmup_epochs"
    ),
    "search --method darts-random --edge.slots persistent": (
        "edge: edge.slots 'persistent' requires edge.selector 'attention' and edge.mask_scope 'batch'"
    ),
    "search --edge.shuffle true": "edge: edge.shuffle requires edge.selector 'first'",
    "search --scale smok": "unknown scale 'smok'; did you mean 'smoke'?",
    "search --method adart": "unknown method 'adart'; did you mean 'adarts'?",
    "search --data cifar11": None,
    "search --device gpu --scale smoke": None,
    "search --time-limit soon --scale smoke": None,
    "search --config nowhere.yaml": "nowhere.yaml: No such file or directory",
    "sweep --serch.epochs 3": "unknown option '--serch.epochs'; did you mean '--search.epochs'?",
    "sweep --run-dir here": "run.run_dir is for a single search; a sweep has its own folder and always continues",
    "sweep --slots 0": "--slots must be greater than 0, not '0'",
    "sweep --on slrm": "--on must be 'local', 'slurm' or 'ray', not 'slrm'; did you mean 'slurm'?",
    "sweep --on slurm": "the automatic scale is that of this machine; add --scale, such as --scale gpu",
    "sweep --on slurm --scale smoke --slots 2": (
        "--slots is for this machine; Slurm has --slurm.array-parallelism, and Ray the CPUs and GPUs of its nodes"
    ),
    "sweep --detach": "--detach needs a cluster; add --on slurm",
    "sweep --slurm.partition gpu": "--slurm.* has no effect with --on local; add --on slurm",
    "sweep --on slurm --scale smoke --ray.gpus 1": "--ray.* has no effect with --on slurm; add --on ray",
    "sweep --on slurm --scale smoke --device cuda:0 cuda:1": (
        "several devices are for this machine; on a cluster, a search uses the device of its node"
    ),
    "sweep --train-options training.epochs=3": "--train-options are for --train, which is missing",
    "sweep --method adarts --scale smoke --images.per-class 4 --train --train-options training.epoch=3": (
        "training.epoch: unknown setting; did you mean 'training.epochs'?"
    ),
    "sweep --scale smoke --images.per-class 4 --device cpu gpu": (
        "--device 'gpu' (run.device) is unknown; did you mean 'cuda'?"
    ),
    "sweep status": None,
    "sweep stop nowhere": None,
    "sweep --method darts adrats": "unknown method 'adrats'; did you mean 'adarts'?",
    "sweep --seed 0 x": "seed must be a valid integer, not 'x'",
    "sweep --seed 4-0": "--seed 4-0: a range is FIRST-LAST with at most 10,000 seeds",
    "sweep --seed 0-999999999": "--seed 0-999999999: a range is FIRST-LAST with at most 10,000 seeds",
    "sweep --vary edge.k": "--vary edge.k: values are missing; write it like --vary edge.k=2,4",
    "sweep --vary edge.kk=2,4": "edge.kk: unknown setting; did you mean 'edge.k'?",
    "sweep --vary edge.k=2 --vary edge.k=4": "--vary edge.k: given twice; give all its values at once",
    "sweep --vary edge.k=2,4 --edge.k 2": "edge.k is both given and varied; choose one of them",
    "sweep --method adarts --scale smoke --vary edge.k=2,3 --images.per-class 4": (
        "point adarts-edge.k=3-seed0: edge.k = 3 does not divide the 8 channels of a cell; choose a divisor"
    ),
    "train --method adarts": None,
    "train --weights.momentum 1.5": "--weights.momentum must be less than 1, not '1.5'",
    "train --scale smoke --data folder:nowhere": None,
    "evaluate": "the following arguments are required: RUN; see `adarts evaluate --help`",
    "evaluate a --threads x": "--threads must be a valid integer, not 'x'",
    "evaluate a --threads 0": "--threads must be greater than 0, not '0'",
    "evaluate a --devices cpu": "unknown option '--devices'; did you mean '--device'?",
    "evaluate a b": "unexpected 'b'; `adarts evaluate --help` lists the options",
    "search --edge.no-normalisation": "unknown option '--edge.no-normalisation'; did you mean '--edge.normalization'?",
    "evaluate a --bogus": "unknown option '--bogus'; `adarts evaluate --help` lists them",
    "report": "adarts report needs one or more runs or sweeps: folders, names, or latest",
    "report nowhere": None,
    "report latest": None,
    "configs show smok": "unknown scale 'smok'; did you mean 'smoke'?",
    "configs smok": "unknown scale 'smok'; did you mean 'smoke'?",
    "configs shw smoke": "unexpected 'smoke'; `adarts configs --help` lists the options",
    "methods show pcdarts": "unknown method 'pcdarts'; did you mean 'pc-darts'?",
    "demo --scale dem": "unknown scale 'dem'; did you mean 'demo'?",
    "demo --seed -1": "seed must be greater than or equal to 0, not -1",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_words(
    line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(line.split())
    error = capsys.readouterr().err
    assert error.startswith("adarts: ")
    assert error.count("\n") == 1
    assert "\x1b" not in error
    assert code in (2, 3)
    if WRONG[line] is not None:
        assert (code, error) == (2, f"adarts: {WRONG[line]}\n")
    assert not any(tmp_path.iterdir())


def printed(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*line.split(), "--print-config"]) == 0
    return capsys.readouterr().out


def test_options_outweigh_everything(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("search: {epochs: 7, batch_size: 8}\nedge: {k: 2}\n")
    line = f"search --method pc-darts --scale smoke --config {file} --search.epochs=9 --edge.mask_scope batch"
    config = yaml.safe_load(printed(line, capsys))
    assert config["search"]["epochs"] == 9  # the option
    assert config["search"]["batch_size"] == 8  # the file
    assert config["search"]["warmup_epochs"] == 1  # the scale
    assert config["edge"]["selector"] == "first"  # the method
    assert config["weights"]["clip"] == 5.0  # the defaults


def test_options_complete_what_a_file_begins(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("edge: {selector: all}\n")  # with k = 4 this would not work
    assert yaml.safe_load(printed(f"search --config {file} --edge.k 1", capsys))["edge"]["k"] == 1


@pytest.mark.parametrize(
    "line", ["methods --json {}", "methods {} --json", "methods show --json {}", "methods --json show {}"]
)
def test_options_and_names_in_any_order(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.format("adarts").split()) == 0
    assert [record["name"] for record in json.loads(capsys.readouterr().out)] == ["adarts"]


def test_short_names(capsys: pytest.CaptureFixture[str]) -> None:
    line = "train --run-dir here --resume --time-limit 9m --device cpu --threads 1 --download --images.no-flip"
    config = yaml.safe_load(printed(line, capsys))
    assert {"run_dir": "here", "resume": True, "time_limit": "9m", "threads": 1}.items() <= config["run"].items()
    assert (config["images"]["download"], config["images"]["flip"]) == (True, False)


def test_train_takes_the_latest_search_of_the_runs_it_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("run: {runs: there}\n")
    for options, expected in (
        ("", "runs/search/latest"),
        ("--runs here", "here/search/latest"),
        (f"--config {file}", "there/search/latest"),
        (f"--config {file} --runs here", "here/search/latest"),
        ("--runs here --genotype random:1", "random:1"),
    ):
        assert yaml.safe_load(printed(f"train {options}", capsys))["genotype"] == expected
    file.write_text("genotype: random:2\n")
    assert yaml.safe_load(printed(f"train --config {file} --runs here", capsys))["genotype"] == "random:2"


def test_a_training_that_goes_on_has_the_recipe_of_its_own_cells(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "there"
    begun = printed(f"train --runs here --run-dir {folder} --genotype random:nasbench201:0", capsys)
    folder.mkdir()
    (folder / "genotype.json").write_text(random_genotype(NASBENCH201, 0).to_json())
    for reference in ("random:darts:0", "nothing"):  # where the cells came from is another search by now, or gone
        now = printed(f"train --runs here --run-dir {folder} --genotype {reference}", capsys)
        assert now == begun.replace("random:nasbench201:0", reference)


@pytest.mark.parametrize("verb", ["search", "train"])
def test_printed_configuration_reads_back_exactly(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = printed(f"{verb} --scale cpu --data cifar10 --seed 5 --weights.weight-decay 1e-5 --time-limit 90s", capsys)
    file = tmp_path / "printed.yaml"
    file.write_text(text)
    assert printed(f"{verb} --config {file}", capsys) == text


def test_a_sweep_prints_the_configurations_of_its_points(capsys: pytest.CaptureFixture[str]) -> None:
    words = "--scale smoke --images.no-flip --alphas.learning-rate 6e-4"
    axes = "--method pc-darts adarts --seed 0-1,4 --vary edge.k=2 images.size=none,16 --vary edge.mask-scope=batch"
    text = printed(f"sweep {words} {axes}", capsys)
    names = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    assert len(names) == 12
    assert names[1] == "pc-darts-edge.k=2-images.size=16-edge.mask_scope=batch-seed0"
    documents = text.split("---\n")
    alone = "--edge.k 2 --edge.mask-scope batch --images.size 16 --method adarts --seed 4"
    assert documents[11].partition("\n")[2] == printed(f"search {words} {alone}", capsys)
