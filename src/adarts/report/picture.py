"""A run as one picture, which a notebook shows."""

from __future__ import annotations

from pathlib import Path

from adarts.report.cells import cell_svg
from adarts.report.charts import draw
from adarts.report.content import name_of
from adarts.report.curves import learning
from adarts.report.drawing import arranged
from adarts.report.reading import read_run


def picture(run_dir: Path) -> str:
    """The cells of a run and below them its learning curves, as one SVG file.

    Raises:
        CheckpointError: it is not a run folder, or a file in it is damaged.
    """
    run = read_run(run_dir)
    cells = [] if run.genotype is None else [cell_svg(run.genotype, kind) for kind in run.genotype.cells]
    curves = [draw([chart]).svg() for chart in learning([run]) if chart.values]
    return arranged([*([cell] for cell in cells), curves], name_of(run))
