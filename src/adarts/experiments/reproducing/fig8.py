"""Fig. 8: the cells that ADARTS finds."""

from __future__ import annotations

from adarts.experiments.reproducing.ablation import ADARTS
from adarts.experiments.reproducing.experiment import Cells, Experiment, Results, size_of
from adarts.experiments.reproducing.runs import Runs
from adarts.report.tables import Cell, Column, Table
from adarts.truth import estimate_of
from adarts.zoo import get

PUBLISHED = "ADARTS_V1"


class Fig8(Experiment):
    """The cells of the ADARTS searches of Table II, beside the cells that are most probably the paper's."""

    name = "fig8"
    title = "Fig. 8: the cells that ADARTS finds"
    place = "Fig. 8 and section IV-C-1"
    claim = "The cells found on CIFAR-10 have few skip connections. The figure shows one normal and one reduction cell."
    reading = (
        f"The paper prints no text of its cells. {PUBLISHED} stands in the code of a direct extension and has exactly the "
        "published size, so it is most probably the cell of Fig. 8."
    )

    methods = (ADARTS.method,)
    trains = False

    def results(self, runs: Runs) -> Results:
        columns = [
            Column("cells"),
            Column("skips, normal cell", "counted", 0),
            Column("skips, reduction cell", "counted", 0),
            Column("operations without weights, normal cell", "counted", 0),
            Column("parameters (M)", "counted"),
            Column("accuracy (%)", "estimated"),
            Column("genotype"),
        ]
        published = get(PUBLISHED).genotype
        named = {f"{PUBLISHED}, most probably the paper's": published}
        named |= {f"found, seed {s.seed}": cells for s in self.searches() if (cells := runs.cells(s)) is not None}
        estimates = {f"found, seed {s.seed}": runs.estimate(s) for s in self.searches()}
        rows: list[list[Cell]] = []
        for name, cells in named.items():
            skips = [cells.num_operations(kind, "skip_connect") for kind in ("normal", "reduction")]
            known = estimates[name] if name in estimates else estimate_of(cells).cifar10
            text = cells.to_text() if cells.has_text else "no classical text"
            rows.append([name, *skips, cells.num_weight_free("normal"), size_of(cells), known, text])
        missing = [name for name in estimates if name not in named]
        rows += [[name, None, None, None, None, None, None] for name in missing]
        drawings = [Cells(f"fig8-{index}", name, cells) for index, (name, cells) in enumerate(named.items())]
        caption = self.caption("Parameters in the paper's network for CIFAR-10 (36 channels, 20 cells).")
        return Results([], [Table(self.name, self.title, columns, rows, caption)], cells=drawings)
