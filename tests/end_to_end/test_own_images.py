"""One training on a folder of images: what is kept about them, and what happens when they move or change."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adarts.cli.main import main


def fill(root: Path) -> None:
    """Two classes of 48 and 12 images; a broken one and a copy."""
    for kind, (name, count) in enumerate({"healthy": 48, "sick": 12}.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(100 * kind + number).integers(0, 100, (16, 16, 3)) + 100 * kind
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    (root / "sick/broken.jpg").touch()
    Image.open(root / "healthy/0.png").save(root / "healthy/copy.bmp")


def test_images_that_move_or_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, run = tmp_path / "a/photos", tmp_path / "a/run"
    fill(photos)
    words = [
        "train",
        "--genotype",
        "random:0",
        "--scale",
        "smoke",
        "--training.epochs",
        "1",
        "--training.batch-size",
        "8",
    ]
    words += ["--network.channels", "8", "--network.cells", "3", "--images.max-broken", "1", "--threads", "1"]
    assert main([*words, "--data", f"folder:{photos}", "--run-dir", str(run)]) == 0
    said = capsys.readouterr().out
    assert "mean over the classes" in said and "always answering healthy gives" in said
    known, summary = (json.loads((run / name).read_text()) for name in ("data.json", "summary.json"))
    assert known["left_out"] == [{"file": "sick/broken.jpg", "reason": "an empty file"}]
    assert known["duplicates"] == [["healthy/0.png", "healthy/copy.bmp"]]
    assert known["fingerprint"] == summary["data_fingerprint"]
    assert sum(one["images"] for one in summary["test_classes"]) == summary["test_images"]
    page = (run / "report.html").read_text()
    assert "sick/broken.jpg" in page and "healthy/copy.bmp" in page

    # Moved together: found again. The fingerprint is the same, so also the accuracy.
    (tmp_path / "a").rename(tmp_path / "b")
    photos, run = tmp_path / "b/photos", tmp_path / "b/run"
    for more in ([], ["--data", str(photos)]):
        assert main(["evaluate", str(run), "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["same_images"] and found["test_accuracy"] == summary["test_accuracy"]
    assert main([*words, "--data", str(photos), "--run-dir", str(run)]) == 0
    assert f"data: folder:{photos}" in (run / "config.yaml").read_text()
    capsys.readouterr()

    # One photo more: other images.
    Image.new("RGB", (16, 16), "red").save(photos / "sick/new.png")
    assert main(["evaluate", str(run)]) == 3
    assert (
        f"its images have changed since the training (fingerprint {known['fingerprint'][:12]}"
        in capsys.readouterr().err
    )
    assert main(["evaluate", str(run), "--data", str(photos)]) == 0
    out, err = capsys.readouterr()
    assert "healthy" in out and "sick" in out
    assert err == "warning: these are not the images of the training; some of them may have been trained on\n"
    assert main([*words, "--data", str(photos), "--run-dir", str(run)]) == 3
    assert "the images have changed since the run began" in capsys.readouterr().err
    (photos / "sick").rename(photos / "ill")
    assert main(["evaluate", str(run), "--data", str(photos)]) == 2
    assert "the classes differ from those of the training: healthy, ill" in capsys.readouterr().err
