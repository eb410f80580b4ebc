"""Fig. 9: skip connections by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from adarts.config.settings import SearchConfig
from adarts.experiments.reproducing.ablation import BY_EPOCH, Form
from adarts.experiments.reproducing.experiment import Experiment, Figure, Results
from adarts.experiments.reproducing.runs import Runs
from adarts.report.charts import Chart, Series
from adarts.report.curves import column
from adarts.report.palette import series_look
from adarts.report.statistics import Sample
from adarts.report.tables import Cell, Column, Table
from adarts.spaces import get_space


class Fig9(Experiment):
    """The searches of Table II, epoch by epoch."""

    name = "fig9"
    title = "Fig. 9: skip connections by epoch"
    place = "Fig. 9 and section IV-D-1"
    claim = (
        "DARTS has four skip connections after 50 epochs; random partial connection has fewer but is unstable; ADARTS has a few "
        "in the middle and late epochs only. One search each."
    )
    reading = (
        "Lines are means over the seeds, bands reach from the lowest to the highest seed. In the shaded warm-up the alphas are "
        "frozen, so the cells there are arbitrary. Where bands overlap, one search of each would show any order."
    )

    def searches(self) -> list[SearchConfig]:
        return self.searches_with(*(form.method for form in BY_EPOCH))

    def results(self, runs: Runs) -> Results:
        columns = [
            Column("method"),
            Column("skips after the warm-up, normal cell", "counted", spread=True),
            Column("skips at the end, normal cell", "counted", spread=True),
            Column("skips at the end, reduction cell", "counted", spread=True),
            Column("searches with more than two in the normal cell", "counted"),
            Column("accuracy of the found cells (%)", "estimated", spread=True),
        ]
        rows: list[list[Cell]] = []
        for form in BY_EPOCH:
            searches = self.searches_with(form.method)
            first = searches[0].search.warmup_epochs
            records = [record for search in searches if (record := runs.record(search)) is not None]
            moving = [column(record, "skips", "normal")[first:] for record in records]
            at_end = self.skips(runs, searches)
            many = (
                None
                if at_end is None
                else f"{sum(n > get_space('darts').max_skips for n in at_end.values)} of {at_end.n}"
            )
            rows.append(
                [
                    form.title,
                    Sample.of(values[0] for values in moving if values),
                    at_end,
                    self.skips(runs, searches, "reduction"),
                    many,
                    self.estimates(runs, searches),
                ]
            )
        text = f"{self.number} After the warm-up is the first epoch in which the alphas move."
        table = Table(self.name, self.title, columns, rows, self.caption(text))
        return Results([], [table], [by_epoch(self, runs, BY_EPOCH, self.name)])


def by_epoch(experiment: Experiment, runs: Runs, forms: Sequence[Form], name: str) -> Figure:
    """The skip connections of both cells by epoch, one curve for each form."""
    charts = []
    for kind in ("normal", "reduction"):
        series = []
        for index, form in enumerate(forms):
            searches = experiment.searches_with(form.method)
            records = [record for search in searches if (record := runs.record(search)) is not None]
            curves = [column(record, "skips", kind) for record in records]
            series.append(Series(form.title, series_look(index), curves))
        warmup = experiment.plan.search(forms[0].method, 0).search.warmup_epochs
        charts.append(
            Chart(f"Skip connections, {kind} cell", series, high=4, whole=True, shade_until=warmup, across="epoch")
        )
    return Figure(name, charts, experiment.caption(f"n = {len(experiment.seeds)} searches a curve."))
