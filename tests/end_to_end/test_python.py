"""The calls of the package as a person makes them, done for real on small data."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adarts
from adarts.config.settings import SearchConfig, TrainConfig
from adarts.errors import ConfigError
from adarts.spaces import DARTS, NASBENCH201, random_genotype
from adarts.training.model import source_of

ONE = {"threads": 1}


def two_classes(root: Path, images: int) -> str:
    """So many training images of each class, and two for the test."""
    for kind, name in enumerate(("cat", "dog")):
        for part in ("train", "test"):
            (root / part / name).mkdir(parents=True)
        for number in range(images + 2):
            pixels = np.random.default_rng(100 * kind + number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / ("train" if number < images else "test") / name / f"{number}.png")
    return f"folder:{root}"


def test_a_scale_adapts_its_batch_to_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = two_classes(tmp_path / "photos", 6), {**ONE, "runs": tmp_path / "runs"}
    found = adarts.search(data=data, scale="smoke", run=run)
    said = capsys.readouterr().out
    assert "warning: a batch of 16 is larger than the number of images for an update; using 6 instead" in said
    assert f"data={data!r}" not in said and "batch_size: 16" in (found.run_dir / "config.yaml").read_text()

    # The log says in a few words what is trained, however it was given, and no file but one holds the cells again.
    trained = adarts.train(found.genotype, data=data, scale="smoke", run=run)
    said = capsys.readouterr().out
    assert "warning: a batch of 16 is larger than the training set; using 12 instead" in said
    assert re.search(r"^  genotype +given as text$", said, re.MULTILINE)
    assert max(map(len, said.replace(str(tmp_path), "").splitlines())) < 200
    for run_dir in (found.run_dir, trained.run_dir):
        holding = {path.name for path in run_dir.glob("*.json") if "sep_conv" in path.read_text() + "|skip_connect"}
        assert holding <= {"genotype.json"}

    # A batch that somebody asks for is theirs, also where it is that of another scale.
    with pytest.raises(ConfigError, match="a batch of 64 is larger than the 6 images for the weights"):
        adarts.search(data=data, scale="smoke", search={"batch_size": 64}, run=run)
    with pytest.raises(ConfigError, match="a batch of 64 is larger than the 12 images for the training"):
        adarts.train("random:0", data=data, scale="smoke", training={"batch_size": 64}, run=run)


@pytest.mark.parametrize(
    "reference",
    [
        "random:0",
        "runs/search/latest",
        "ADARTS_V1",
        random_genotype(DARTS, 0).to_json(),
        random_genotype(DARTS, 0).to_text(),
        random_genotype(NASBENCH201, 0).to_text(),
    ],
)
def test_the_source_of_cells_is_a_few_words(reference: str) -> None:
    said = source_of(TrainConfig(genotype=reference))
    assert len(said) <= 100 and "\n" not in said
    assert said in (reference, "given as text")


@pytest.mark.parametrize(
    ("call", "config"), [("search", SearchConfig), ("sweep", SearchConfig), ("train", TrainConfig)]
)
def test_every_setting_is_a_keyword(call: str, config: type[SearchConfig | TrainConfig]) -> None:
    parameters = inspect.signature(getattr(adarts, call)).parameters
    assert {*config.model_fields, "config_file"} <= set(parameters)
    assert all(parameters[name].default is None for name in config.model_fields)
    described = inspect.getdoc(getattr(adarts, call)) or ""
    assert all(re.search(rf"\b{name}\b", described) for name in parameters)


def test_importing_loads_no_torch() -> None:
    code = "import sys, adarts; adarts.search, adarts.train, adarts.sweep; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
