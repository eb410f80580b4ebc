"""Fig. 10: memory and accuracy for different K."""

from __future__ import annotations

from collections.abc import Sequence

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.experiments.reproducing.ablation import ATTENTION
from adarts.experiments.reproducing.experiment import (
    STEP_CAPTION,
    Experiment,
    Figure,
    Results,
    difference_cells,
    step_cells,
)
from adarts.experiments.reproducing.runs import Found, Runs
from adarts.report.charts import Chart, Series, Value
from adarts.report.palette import series_look
from adarts.report.statistics import Sample, paired
from adarts.report.tables import Cell, Column, Table

PROPORTIONS = (1, 2, 4, 8, 16)
"""The values of K in the figure."""
BEST = 4


class Fig10(Experiment):
    """ADARTS with one of K channels in the operations."""

    name = "fig10"
    title = "Fig. 10: memory and accuracy for different K"
    place = "Fig. 10 and section IV-D-2"
    claim = "With growing K the memory falls all the time; the accuracy rises up to K = 4 and then falls. The figure has no text."
    reading = (
        "The memory of a step does not fall to 1/K: the bypass, the attention and the rest of the network stay. K = 1 is DARTS + "
        "attention, so its searches are those of Table II. The last column compares every K with K = 4, paired by seed."
    )

    def searches(self) -> list[SearchConfig]:
        return [self._search(k, seed) for seed in self.seeds for k in PROPORTIONS]

    def steps(self) -> list[SearchConfig]:
        return [self._search(k, 0) for k in PROPORTIONS]

    def trainings(self, found: Found) -> list[TrainConfig]:
        trained = [self.trained_cells(found, self._search(k, seed)) for seed in self.trained for k in PROPORTIONS]
        return [config for config in trained if config is not None]

    def results(self, runs: Runs) -> Results:
        columns = [
            Column("K"),
            Column("accuracy of the found cells (%)", "estimated", spread=True),
            Column("skips, normal cell", "counted", spread=True),
            Column("test accuracy (%)", "measured", spread=True),
            Column("difference from K = 4 (points)", "estimated", spread=True),
            Column("95 % interval", "estimated"),
        ]
        estimates = {k: self._by_seed(runs, k) for k in PROPORTIONS}
        trained = {k: self.accuracies(runs, [self._search(k, seed) for seed in self.trained]) for k in PROPORTIONS}
        rows = []
        for k in PROPORTIONS:
            against = None if k == BEST else paired(estimates[k], estimates[BEST])
            last: list[Cell] = ["–", "–"] if k == BEST else difference_cells(against)[:2]
            cells: list[Cell] = [
                str(k),
                Sample.of(estimates[k].values()),
                self.skips(runs, [self._search(k, seed) for seed in self.seeds]),
                Sample.of(trained[k].values()),
                *last,
            ]
            rows.append(cells)
        main = Table(self.name, self.title, columns, rows, self.caption(self.number))
        return Results([], [main, self._costs(runs)], self._figures(runs, estimates, trained))

    def _search(self, k: int, seed: int) -> SearchConfig:
        if k == 1:  # no channel bypasses the operations
            return self.plan.search(ATTENTION.method, seed)
        return self.plan.search("adarts", seed, edge__k=k)

    def _by_seed(self, runs: Runs, k: int) -> dict[int, float]:
        known = {seed: runs.estimate(self._search(k, seed)) for seed in self.seeds}
        return {seed: value for seed, value in known.items() if value is not None}

    def _costs(self, runs: Runs) -> Table:
        columns = [
            Column("K"),
            Column("seconds of a step", "measured", 3),
            Column("of the step for K = 1", "measured"),
            Column("memory of a step (MB)", "measured", 0),
            Column("of the memory for K = 1", "measured"),
        ]
        steps = {k: runs.step(self._search(k, 0)) for k in PROPORTIONS}
        rows: list[list[Cell]] = [[str(k), *step_cells(step, steps[1])] for k, step in steps.items()]
        return Table(
            "fig10-cost", "Memory and time of a step", columns, rows, self.caption(STEP_CAPTION, trained=False)
        )

    def _figures(
        self, runs: Runs, estimates: dict[int, dict[int, float]], trained: dict[int, dict[int, float]]
    ) -> list[Figure]:
        steps = [runs.step(self._search(k, 0)) for k in PROPORTIONS]
        curves: dict[str, tuple[str, list[list[Value]], int]] = {
            "memory": (
                "Peak memory of a search step (MB)",
                [[step.memory / 1e6 if step else None for step in steps]],
                1,
            ),
            "time": ("Seconds of a search step", [[step.seconds if step else None for step in steps]], 1),
            "estimate": ("Estimated accuracy of the found cells (%)", _by_k(estimates, self.seeds), len(self.seeds)),
            "accuracy": ("Test accuracy after the training here (%)", _by_k(trained, self.trained), len(self.trained)),
        }
        figures = []
        for name, (title, runs_of, number) in curves.items():
            known = [value for run in runs_of for value in run if value is not None]
            if not known:
                continue
            low = 0.0 if name in ("memory", "time") else min(known) - 0.25 * (max(known) - min(known) or 1)
            series = [Series(f"ADARTS; at K = {PROPORTIONS[-1]}:", series_look(0), runs_of)]
            chart = Chart(title, series, low=low, places=PROPORTIONS, doubling=True, across="K")
            caption = self.caption(f"n = {number} for each K.", trained=name == "accuracy")
            figures.append(Figure(f"fig10-{name}", [chart], caption))
        return figures


def _by_k(values: dict[int, dict[int, float]], seeds: Sequence[int]) -> list[list[Value]]:
    """For every seed its values by K."""
    return [[values[k].get(seed) for k in PROPORTIONS] for seed in seeds]
