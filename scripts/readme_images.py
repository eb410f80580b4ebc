#!/usr/bin/env python
"""Draws the pictures of the README: `python scripts/readme_images.py results/demo/methods`, into docs/images."""

from __future__ import annotations

import sys
from pathlib import Path

from adarts.experiments.demo import known_means
from adarts.report import cell_svg
from adarts.report.charts import Chart, Rule, Series, draw
from adarts.report.curves import column
from adarts.report.palette import series_look
from adarts.report.reading import read_run
from adarts.training.model import resolve_genotype

IMAGES = Path(__file__).parents[1] / "docs" / "images"
METHODS = ("adarts-trials", "darts", "pc-darts", "adarts")


def main(sweep: Path) -> None:
    """Draw the cell of the paper, and the true accuracies of a sweep in NAS-Bench-201's space."""
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "cell.svg").write_text(cell_svg(resolve_genotype("ADARTS_V1"), "normal"))
    runs = [read_run(path) for path in sorted((sweep / "points").iterdir())]
    series = [
        Series(
            method,
            series_look(index),
            [column(run, "truth", "cifar10") for run in runs if run.config["method"] == method],
        )
        for index, method in enumerate(METHODS)
    ]
    all_cells = Rule(known_means()[0], "mean of all cells")
    chart = Chart("True CIFAR-10 accuracy of the cell, by epoch (%)", series, low=45, high=95, rule=all_cells)
    (IMAGES / "truth.svg").write_text(draw([chart], size=(460, 260)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
