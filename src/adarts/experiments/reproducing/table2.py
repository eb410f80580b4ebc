"""Table II: DARTS, with random partial connection, with attention, and with both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.experiments.reproducing.ablation import ABLATION, DARTS, Form
from adarts.experiments.reproducing.budgets import share
from adarts.experiments.reproducing.experiment import (
    STEP_CAPTION,
    Experiment,
    Results,
    agreement,
    difference_cells,
    floors,
    step_cells,
)
from adarts.experiments.reproducing.runs import Found, Runs
from adarts.report.statistics import Sample, paired, variances
from adarts.report.tables import Cell, Column, Table
from adarts.training.model import resolve_genotype
from adarts.truth import estimate_of

_REPEATED = 1000  # seeds of further trainings of the same cells begin here


class Table2(Experiment):
    """The ablation on CIFAR-10, and on CIFAR-100 by transfer."""

    name = "table2"
    title = "Table II: the ablation"
    place = "Table II and section IV-D-3"
    claim = (
        "Attention and partial connection each lower the test error; ADARTS has both, the smallest network, and the lowest "
        "errors. Each figure is one number without a spread."
    )
    reading = (
        "Compare rows by the differences that are paired by seed: a row whose interval holds 0 cannot be told from DARTS here. "
        "A row has shown something only if it is above the cells that need no search."
    )

    methods = tuple(form.method for form in ABLATION)

    def steps(self) -> list[SearchConfig]:
        return [self.plan.search(form.method, 0) for form in ABLATION]

    def trainings(self, found: Found) -> list[TrainConfig]:
        data = [None, *([self.plan.budget.transfer] if self.plan.budget.transfer else [])]
        searched = self.searches_with(*self.methods, trained=True)
        trained = [self.trained_cells(found, search, each) for each in data for search in searched]
        at_random = [self._random(seed, each) for each in data for seed in self.trained]
        again = [config for form in ABLATION for config in self._again(found, form)]
        return [config for config in [*trained, *at_random, *again] if config is not None]

    def results(self, runs: Runs) -> Results:
        words, plots = agreement(self._pairs(runs), "table2-estimate", self.caption())
        return Results(
            [self._variances(runs), words], [self._main(runs), self._paired(runs), self._costs(runs)], scatters=plots
        )

    def _random(self, seed: int, data: str | None = None) -> TrainConfig:
        return self.plan.training(f"random:darts:{seed}", seed, data)

    def _again(self, found: Found, form: Form) -> Iterator[TrainConfig]:
        """Further trainings of the cells of the first search."""
        cells = found(self.plan.search(form.method, 0)) if self.trained else None
        if cells is not None:
            for number in range(1, self.plan.budget.repeats):
                yield self.plan.training(cells, _REPEATED + number)

    def _errors(self, runs: Runs, form: Form, data: str | None) -> Sample | None:
        return Sample.of(
            100 - value for value in self.accuracies(runs, self.searches_with(form.method, trained=True), data).values()
        )

    def _main(self, runs: Runs) -> Table:
        transfer = self.plan.budget.transfer
        target = Path(transfer).name if transfer else "transfer"  # a folder in place of CIFAR-100
        columns = [
            Column("method"),
            Column("parameters (M)", "published", 1),
            Column("GPU days", "published", 1),
            Column("CIFAR-10 error (%)", "published"),
            Column("CIFAR-100 error (%)", "published"),
            Column("parameters of the found cells (M)", "counted", spread=True),
            Column("accuracy of the found cells (%)", "estimated", spread=True),
            Column("worst seed (%)", "estimated"),
            Column(f"{self.plan.budget.data} error (%)", "measured", spread=True),
            Column(f"{target} error (%)", "measured", spread=True),
            Column("note", is_below=True),
        ]
        rows: list[list[Cell]] = []
        for form in ABLATION:
            found = self.estimates(runs, self.searches_with(form.method))
            rows.append(
                [
                    form.title,
                    *(form.published or ("–",) * 4),
                    self.sizes(runs, self.searches_with(form.method)),
                    found,
                    found and min(found.values),
                    self._errors(runs, form, None),
                    self._errors(runs, form, transfer) if transfer else None,
                    form.note,
                ]
            )
        for name, spread in floors().items():
            errors: list[Cell] = ["–", "–"]
            if name == "random cells":
                data = [None, transfer] if transfer else [None]
                known = [[runs.accuracy(self._random(seed, each)) for seed in self.trained] for each in data]
                samples = [Sample.of(None if value is None else 100 - value for value in values) for values in known]
                errors = [*samples, *([] if transfer else [None])]
            rows.append([f"no search: {name}", *("–",) * 4, "–", spread, "–", *errors, ""])
        text = self.number
        if transfer:
            images = self.plan.training("ADARTS_V1", 0, transfer).images
            text += f" Trainings on {target} have the same budget and {share(transfer, images.per_class)}."
        return Table(self.name, self.title, columns, rows, self.caption(text))

    def _paired(self, runs: Runs) -> Table:
        columns = [
            Column("method, against DARTS"),
            Column("difference of the accuracy (points)", "estimated", spread=True),
            Column("95 % interval", "estimated"),
            Column("p", "estimated", 3),
            Column("difference of the accuracy (points)", "measured", spread=True),
            Column("95 % interval", "measured"),
            Column("p", "measured", 3),
        ]
        baseline = [self._by_seed(runs, DARTS), self.accuracies(runs, self.searches_with(DARTS.method, trained=True))]
        rows = []
        for form in ABLATION[1:]:
            cells: list[Cell] = [form.title]
            values = [self._by_seed(runs, form), self.accuracies(runs, self.searches_with(form.method, trained=True))]
            for row, of_darts in zip(values, baseline, strict=True):
                cells += difference_cells(paired(row, of_darts))
            rows.append(cells)
        text = "Differences between searches with the same seed; t interval and paired t test, without correction for four rows."
        return Table("table2-paired", "Paired differences", columns, rows, self.caption(text))

    def _by_seed(self, runs: Runs, form: Form) -> dict[int, float]:
        known = {search.seed: runs.estimate(search) for search in self.searches_with(form.method)}
        return {seed: value for seed, value in known.items() if value is not None}

    def _costs(self, runs: Runs) -> Table:
        columns = [
            Column("method"),
            Column("GPU days", "published", 1),
            Column("seconds of a search", "measured", 1, spread=True),
            Column("seconds of a step", "measured", 3),
            Column("of the step of DARTS", "measured"),
            Column("memory of a step (MB)", "measured", 0),
            Column("of the memory of DARTS", "measured"),
        ]
        first = runs.step(self.plan.search(DARTS.method, 0))
        rows: list[list[Cell]] = []
        for form in ABLATION:
            days = form.published[1] if form.published else "–"
            step = step_cells(runs.step(self.plan.search(form.method, 0)), first)
            rows.append([form.title, days, Sample.of(map(runs.seconds, self.searches_with(form.method))), *step])
        text = f"Times of searches include other work on the machine. {STEP_CAPTION}"
        return Table("table2-cost", "Search cost and memory", columns, rows, self.caption(text, trained=False))

    def _variances(self, runs: Runs) -> str:
        rows = []
        for form in ABLATION:
            cells = []
            for search in self.searches_with(form.method, trained=True):
                own = [self.trained_cells(runs.cells, search)]
                own += list(self._again(runs.cells, form)) if search.seed == 0 else []
                known = [value for config in own if (value := runs.accuracy(config)) is not None]
                cells.append(known)
            rows.append(cells)
        found = variances(rows)
        if found is None:
            return "Variance between searches and between trainings: not measured."
        return (
            f"Standard deviation of the test accuracy between searches of a row {found.search:.2f} points, between trainings of "
            f"the same cells {found.training:.2f} points ({found.trainings} trainings of {found.cells} cells)."
        )

    def _pairs(self, runs: Runs) -> dict[str, tuple[float, float, str]]:
        pairs = {}
        for form in ABLATION:
            for search in self.searches_with(form.method, trained=True):
                estimate, accuracy = runs.estimate(search), runs.accuracy(self.trained_cells(runs.cells, search))
                if estimate is not None and accuracy is not None:
                    pairs[f"{form.method}-{search.seed}"] = (estimate, accuracy, "found")
        for seed in self.trained:
            config = self._random(seed)
            if (accuracy := runs.accuracy(config)) is not None:
                pairs[str(config.genotype)] = (
                    estimate_of(resolve_genotype(str(config.genotype))).cifar10,
                    accuracy,
                    "random",
                )
        return pairs
