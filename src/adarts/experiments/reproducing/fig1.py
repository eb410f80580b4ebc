"""Fig. 1: a normal cell of DARTS with too many skip connections."""

from __future__ import annotations

from adarts.experiments.reproducing.ablation import DARTS
from adarts.experiments.reproducing.experiment import Cells, Experiment, Results
from adarts.experiments.reproducing.fig9 import by_epoch
from adarts.experiments.reproducing.runs import Runs
from adarts.report.tables import Cell, Column, Table
from adarts.spaces import get_space

BY_KIND = {"normal": "fig1-by-epoch", "reduction": "fig1-reduction-by-epoch"}


class Fig1(Experiment):
    """The searches of DARTS from Table II, and the cell with the most skip connections among them."""

    name = "fig1"
    title = "Fig. 1: skip connections in the normal cell of DARTS"
    place = "Fig. 1 and section I"
    claim = "Skip connections fill the normal cell of DARTS late in the search. The figure shows one such cell."
    reading = "One cell proves nothing: the table shows all seeds. The drawing is the worst of them, chosen afterwards."

    methods = (DARTS.method,)
    trains = False

    def results(self, runs: Runs) -> Results:
        columns = [
            Column("seed"),
            Column("skips, normal cell", "counted", 0),
            Column("skips, reduction cell", "counted", 0),
            Column("operations without weights, normal cell", "counted", 0),
            Column("accuracy of the found cells (%)", "estimated"),
        ]
        found = [cells for search in self.searches() if (cells := runs.cells(search)) is not None]
        rows: list[list[Cell]] = []
        for search in self.searches():
            cells = runs.cells(search)
            counts: list[Cell] = [None, None, None]
            if cells is not None:
                counts = [cells.num_operations(kind, "skip_connect") for kind in ("normal", "reduction")]
                counts.append(cells.num_weight_free("normal"))
            rows.append([str(search.seed), *counts, runs.estimate(search)])
        table = Table(self.name, self.title, columns, rows, self.caption(f"n = {len(rows)} searches."))
        most = get_space("darts").max_skips
        skips = [cells.num_operations("normal", "skip_connect") for cells in found]
        collapsed = sum(number > most for number in skips)
        findings = [f"{collapsed} of {len(found)} searches have more than {most} skip connections in the normal cell."]
        drawn = []
        if skips:
            worst = found[skips.index(max(skips))]
            drawn = [
                Cells("fig1", f"the most skip connections among {len(found)} seeds: {max(skips)}", worst, ("normal",))
            ]
        figures = [by_epoch(self, runs, [DARTS], kind, name) for kind, name in BY_KIND.items()]
        return Results(findings if found else [], [table], figures, cells=drawn)
