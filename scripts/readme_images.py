#!/usr/bin/env python
"""Draws the pictures of the README: `python scripts/readme_images.py results/demo/methods`, into docs/images."""

from __future__ import annotations

import sys
from pathlib import Path

from adarts.engine import GENOTYPE_FILE
from adarts.experiments.demo import known_means
from adarts.report import cell_svg
from adarts.report.charts import Chart, Rule, Series, draw
from adarts.report.curves import column
from adarts.report.palette import series_look
from adarts.report.reading import read_run
from adarts.spaces import load_genotype

IMAGES = Path(__file__).parents[1] / "docs" / "images"
METHODS = ("adarts-trials", "darts", "pc-darts", "adarts")


def main(sweep: Path) -> None:
    """Draw the cell that seed 0 found, and the true accuracies by epoch of a sweep in NAS-Bench-201's space."""
    IMAGES.mkdir(exist_ok=True)
    cell = load_genotype(sweep / "points" / f"{METHODS[0]}-seed0" / GENOTYPE_FILE)
    (IMAGES / "cell.svg").write_text(cell_svg(cell, "normal"))
    runs = [read_run(path) for path in sorted((sweep / "points").iterdir())]
    series = [
        Series(
            method,
            series_look(index),
            [column(run, "truth", "cifar10") for run in runs if run.config["method"] == method],
        )
        for index, method in enumerate(METHODS)
    ]
    all_cells, of_convolutions = known_means()
    epochs = max(len(run) for one in series for run in one.runs)
    bound = Series("convolutions, one skip", series_look(len(METHODS)), [[of_convolutions] * epochs])
    chart = Chart(
        "True CIFAR-10 accuracy of the cell, by epoch (%)",
        [*series, bound],
        low=75,
        high=95,
        rule=Rule(all_cells, "mean of all cells"),
    )
    (IMAGES / "truth.svg").write_text(draw([chart], size=(460, 260)).svg())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
