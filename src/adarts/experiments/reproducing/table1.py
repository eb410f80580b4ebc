"""Table I: all systems, published and here."""

from __future__ import annotations

from functools import cache

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.errors import DataError
from adarts.experiments.reproducing.experiment import Experiment, Results, agreement, floors
from adarts.experiments.reproducing.runs import Found, Runs
from adarts.report.statistics import Sample
from adarts.report.tables import Cell, Column, Table
from adarts.truth import estimate_of
from adarts.zoo import Entry, record
from adarts.zoo.table1 import TABLE, Row

METHODS = {
    "Genetic CNN": "genetic-cnn",
    "AmoebaNet-B": "amoebanet",
    "Hierarchical Evolution": "hierarchical",
    "CARS": "cars",
    "ENAS": "enas",
    "NASNet-A": "nasnet",
    "SMASH": "smash",
    "DARTS (first order)": "darts",
    "DARTS (second order)": "darts-2nd",
    "GDAS": "gdas",
    "SNAS": "snas",
    "P-DARTS": "p-darts",
    "PC-DARTS": "pc-darts",
    "FairDARTS": "fair-darts",
    "SDARTS-ADV": "sdarts-adv",
    "EoiNAS": "eoi-nas",
    "ADARTS": "adarts",
}
"""System -> its search here. Hand-designed networks have none."""

_CUTOUT = " + cutout"


class Table1(Experiment):
    """Every row: the published figures, and what this package makes of its cells and of its search."""

    name = "table1"
    title = "Table I: all systems"
    place = "Table I and section IV-C-2"
    claim = "ADARTS has the lowest error on CIFAR-10 (2.46 %) and 17.06 % on CIFAR-100, with 2.9 M parameters and 0.2 GPU days."
    reading = (
        "Columns that are published were measured by others, each with its own network and training. Columns that are estimated "
        "or measured are ours, with one budget for all. Rows with the same cells and cutout share a training. The notes name the "
        "rows that are mistaken in the paper."
    )

    def searches(self) -> list[SearchConfig]:
        return self.searches_with(*dict.fromkeys(METHODS.values()))

    def trainings(self, found: Found) -> list[TrainConfig]:
        published = [self._of_published(row) for row in TABLE] if self.trained else []
        searched = [self._of_found(found, row, seed) for seed in self.trained for row in TABLE]
        return [config for config in [*published, *searched] if config is not None]

    def results(self, runs: Runs) -> Results:
        columns = [
            Column("system"),
            Column("kind"),
            Column("parameters (M)", "published", 1),
            Column("GPU days", "published", 1),
            Column("CIFAR-10 error (%)", "published"),
            Column("CIFAR-100 error (%)", "published"),
            Column("parameters of the published network (M)", "counted"),
            Column("accuracy of the published cells (%)", "estimated"),
            Column("search here"),
            Column("parameters of the found cells (M)", "counted", spread=True),
            Column("accuracy of the found cells (%)", "estimated", spread=True),
            Column(f"{self.plan.budget.data} error of the published network (%)", "measured"),
            Column(f"{self.plan.budget.data} error of the found cells (%)", "measured", spread=True),
            Column("note", is_below=True),
        ]
        rows = [self._row(runs, row) for row in TABLE]
        for name, spread in floors().items():
            rows.append(
                [
                    f"no search: {name}",
                    "",
                    *("–",) * 6,
                    "none",
                    "–",
                    spread,
                    "–",
                    "–",
                    "",
                ]
            )
        text = (
            f"{self.number} Published networks are trained once. "
            "Sizes are those of the paper's network for CIFAR-10 (36 channels, 20 cells). Searches without "
            "gradients have the budget of this scale for their family."
        )
        words, plots = agreement(self._pairs(runs), "table1-estimate", self.caption())
        return Results([words], [Table(self.name, self.title, columns, rows, self.caption(text))], scatters=plots)

    def _row(self, runs: Runs, row: Row) -> list[Cell]:
        method = METHODS.get(row.system.removesuffix(_CUTOUT))
        searches = [self.plan.search(method, seed) for seed in self.seeds] if method else []
        trained = [runs.accuracy(self._of_found(runs.cells, row, seed)) for seed in self.trained] if method else []
        published = runs.accuracy(self._of_published(row))
        unknown = "–" if row.ours is None else None
        return [
            row.system,
            row.kind,
            *("–" if value is None else float(value) for value in (row.size, row.gpu_days, row.cifar10_error)),
            "–" if row.cifar100_error is None else row.cifar100_error,
            "cells unknown" if row.ours is None else record(row.ours).parameters / 1e6,
            _estimate(row.ours) or "no estimate",
            method or "none",
            self.sizes(runs, searches) if method else "–",
            (self.estimates(runs, searches) or self._no_estimate(runs, searches)) if method else "–",
            unknown if published is None else 100 - published,
            Sample.of(None if value is None else 100 - value for value in trained) if method else "–",
            row.note,
        ]

    def _no_estimate(self, runs: Runs, searches: list[SearchConfig]) -> str | None:
        """Cells of some methods have no estimate: FairDARTS keeps any number of edges, GDAS two from one node."""
        return "no estimate" if any(runs.is_finished(search) for search in searches) else None

    def _of_published(self, row: Row) -> TrainConfig | None:
        if row.ours is None:
            return None
        cells = isinstance(record(row.ours), Entry)
        if not cells and row.ours not in self.plan.budget.designed:
            return None
        return self.plan.training(row.ours if cells else f"network:{row.ours}", 0, cutout=row.system.endswith(_CUTOUT))

    def _of_found(self, found: Found, row: Row, seed: int) -> TrainConfig | None:
        method = METHODS.get(row.system.removesuffix(_CUTOUT))
        cells = found(self.plan.search(method, seed)) if method else None
        return None if cells is None else self.plan.training(cells, seed, cutout=row.system.endswith(_CUTOUT))

    def _pairs(self, runs: Runs) -> dict[str, tuple[float, float, str]]:
        """Estimate and trained accuracy of all cells whose row has cutout, so that all have the same training."""
        pairs = {}
        for row in TABLE:
            method = METHODS.get(row.system.removesuffix(_CUTOUT))
            if not row.system.endswith(_CUTOUT) or method is None:
                continue
            known = {"published": (_estimate(row.ours), runs.accuracy(self._of_published(row)))}
            for seed in self.trained:
                trained = runs.accuracy(self._of_found(runs.cells, row, seed))
                known[f"found {seed}"] = runs.estimate(self.plan.search(method, seed)), trained
            for what, (estimate, accuracy) in known.items():
                if estimate is not None and accuracy is not None:
                    pairs[f"{row.system} {what}"] = (estimate, accuracy, what.split()[0])
        return pairs


@cache
def _estimate(name: str | None) -> float | None:
    """The estimate of published cells; None if there is none."""
    found = None if name is None else record(name)
    if not isinstance(found, Entry):
        return None
    try:
        return estimate_of(found.genotype).cifar10
    except DataError:
        return None
