"""Table III: batch and learning rate of the search."""

from __future__ import annotations

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.experiments.reproducing.budgets import BATCH, RATE
from adarts.experiments.reproducing.experiment import Experiment, Results, difference_cells
from adarts.experiments.reproducing.runs import Found, Runs
from adarts.report.statistics import Sample, paired
from adarts.report.tables import Cell, Column, Table

PUBLISHED = {(8, 0.01): 96.89, (16, 0.01): 97.11, (32, 0.025): 97.36, (64, 0.025): 97.51, (96, 0.025): 97.54}
"""Batch and learning rate of the search -> test accuracy on CIFAR-10 in percent, as printed in Table III."""

SAME = "The budget below is that of the batch of 96; in an epoch, all batches see the same number of images."


class Table3(Experiment):
    """Five batches, with the paper's learning rates and with rates in proportion to the batch."""

    name = "table3"
    title = "Table III: batch and learning rate of the search"
    place = "Table III and section IV-D-4"
    claim = "The accuracy grows with the batch of the search, from 96.89 % (8) to 97.54 % (96). One search each."
    reading = (
        "The last columns compare every batch with 96, paired by seed. All batches see the same number of images, so a "
        "smaller batch makes more updates. The rates in proportion to the batch follow the paper's argument; its own do not."
    )

    def searches(self) -> list[SearchConfig]:
        return [self._search(*row, seed) for seed in self.seeds for row in self._rows(asked=True)]

    def trainings(self, found: Found) -> list[TrainConfig]:
        rows = self._rows(asked=True)
        trained = [self.trained_cells(found, self._search(*row, seed)) for seed in self.trained for row in rows]
        return [config for config in trained if config is not None]

    def results(self, runs: Runs) -> Results:
        columns = [
            Column("batch"),
            Column("learning rate"),
            Column("accuracy (%)", "published"),
            Column("accuracy of the found cells (%)", "estimated", spread=True),
            Column("skips, normal cell", "counted", spread=True),
            Column("test accuracy (%)", "measured", spread=True),
            Column("difference from 96 (points)", "estimated", spread=True),
            Column("95 % interval", "estimated"),
        ]
        known = {row: self._by_seed(runs, row) for row in self._rows(asked=False)}
        rows = []
        for row, of_row in known.items():
            searches = [self._search(*row, seed) for seed in self.seeds]
            trained = [search for search in searches if search.seed in self.trained]
            against = None if row == (BATCH, RATE) else paired(of_row, known[BATCH, RATE])
            last: list[Cell] = ["–", "–"] if row == (BATCH, RATE) else difference_cells(against)[:2]
            rows.append(
                [
                    str(row[0]),
                    f"{row[1]:.4g}",
                    PUBLISHED.get(row, "–"),
                    Sample.of(of_row.values()),
                    self.skips(runs, searches),
                    Sample.of(self.accuracies(runs, trained).values()),
                    *last,
                ]
            )
        return Results([], [Table(self.name, self.title, columns, rows, self.caption(f"{self.number} {SAME}"))])

    def _rows(self, asked: bool) -> list[tuple[int, float]]:
        """Batches and rates of the paper, and rates in proportion; `asked` leaves out what this scale does not run."""
        scaled = [(batch, RATE * batch / BATCH) for batch, _ in PUBLISHED if batch != BATCH]
        return [*PUBLISHED, *(scaled if self.plan.budget.scaled_rates or not asked else [])]

    def _search(self, batch: int, rate: float, seed: int) -> SearchConfig:
        loop = {"search__batch_size": batch, "search__steps": self.plan.steps(batch), "weights__learning_rate": rate}
        return self.plan.search("adarts", seed, **loop)

    def _by_seed(self, runs: Runs, row: tuple[int, float]) -> dict[int, float]:
        found = {seed: runs.estimate(self._search(*row, seed)) for seed in self.seeds}
        return {seed: value for seed, value in found.items() if value is not None}
