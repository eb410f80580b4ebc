"""Two short trainings whose networks the tests export: one on a folder of photographs, one on gray digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adarts

CLASSES = ("bird", "cat", "dog <b>")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty photographs of three classes, each with its color, none square."""
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("data") / "photos"
    for index in range(60):
        name = CLASSES[index % 3]
        pixels = random.integers(0, 256, (24, 30, 3), dtype=np.uint8)
        pixels[..., index % 3] //= 4
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name / f"{index}.jpg")
    return root


@pytest.fixture(scope="session")
def run(photos: Path) -> Path:
    """A training on the photographs."""
    images = {"size": 16}
    return adarts.train(
        "random:1", data=f"folder:{photos}", scale="smoke", images=images, run=_in(photos, "run")
    ).run_dir


@pytest.fixture(scope="session")
def onnx_file(run: Path) -> Path:
    """Its network as an ONNX file."""
    pytest.importorskip("onnxscript")
    from adarts.export.export import export

    return export(run, "onnx").path


def _in(photos: Path, name: str) -> dict[str, str]:
    return {"run_dir": str(photos.parent / name)}
