"""Fig. 9: skip connections by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from adarts.config.settings import SearchConfig
from adarts.experiments.reproducing.ablation import BY_EPOCH, Form
from adarts.experiments.reproducing.experiment import Experiment, Figure, Results
from adarts.experiments.reproducing.runs import Runs
from adarts.report.charts import Chart, Series, Value
from adarts.report.curves import column
from adarts.report.palette import MUTED, series_look
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
        "Every chart has the mean over the seeds of a method, a band from the lowest to the highest seed, and the mean of DARTS. "
        "In the shaded warm-up the alphas are frozen, so the cells there are arbitrary. Where bands overlap, one search of each "
        "would show any order."
    )

    methods = tuple(form.method for form in BY_EPOCH)
    trains = False

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
        text = f"Mean ± sample standard deviation over {len(self.seeds)} searches of a row."
        text += " After the warm-up is the first epoch in which the alphas move."
        table = Table(self.name, self.title, columns, rows, self.caption(text))
        names = {"normal": self.name, "reduction": f"{self.name}-reduction"}
        return Results([], [table], [by_epoch(self, runs, BY_EPOCH, kind, name) for kind, name in names.items()])


def by_epoch(experiment: Experiment, runs: Runs, forms: Sequence[Form], kind: str, name: str) -> Figure:
    """The skip connections of a kind of cell by epoch: a chart for each form, with the mean of the first form in all of them."""
    curves = {form: _skips(runs, experiment.searches_with(form.method), kind) for form in forms}
    gray = MUTED._replace(dash=(4, 3))
    first = Series(f"mean of {forms[0].title}", gray, [Series("", gray, curves[forms[0]]).means()])
    charts = []
    for index, form in enumerate(forms):
        series = Series("mean, and from the lowest to the highest seed", series_look(0), curves[form])
        warmup = experiment.plan.search(form.method, 0).search.warmup_epochs
        both = [first, series] if len(forms) > 1 else [series]
        across = "epoch" if index >= len(forms) - 2 else ""  # the charts in the lowest row
        charts.append(Chart(form.title, both, high=4, whole=True, shade_until=warmup, across=across))
    caption = experiment.caption(f"n = {len(experiment.seeds)} searches a chart.")
    return Figure(name, charts, caption, f"Skip connections, {kind} cell")


def _skips(runs: Runs, searches: Sequence[SearchConfig], kind: str) -> list[list[Value]]:
    """For every finished search, the skip connections by epoch."""
    records = [record for search in searches if (record := runs.record(search)) is not None]
    return [column(record, "skips", kind) for record in records]
