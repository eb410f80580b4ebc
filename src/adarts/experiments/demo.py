"""The demo: one search on the embedded digits, and two ways to judge the cell that it finds.

The search runs in NAS-Bench-201's space, where the accuracy of every cell after full training is known. The demo plots this true
accuracy by epoch. It then trains the network of the found cell and networks of random cells of at least the same size.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adarts.config.settings import TrainConfig
from adarts.engine.files import to_json, write_atomically
from adarts.errors import Stopped
from adarts.experiments.next_steps import NEXT_STEPS, in_lines
from adarts.models import width_for
from adarts.report import Lead, write_report
from adarts.report.charts import Chart, Rule, Series
from adarts.report.curves import column
from adarts.report.numbers import Spread
from adarts.report.palette import series_look
from adarts.report.reading import read_run
from adarts.searching import SearchResult, run_search, search_config
from adarts.spaces import NASBENCH201
from adarts.training import TrainResult, run_training, train_config
from adarts.training.model import resolve_genotype
from adarts.truth import all_truths, best

METHOD = "adarts-trials"
"""The method with the best cells over five seeds at this budget (results/demo). It was developed in this space."""

TRAININGS = 3
"""Number of trainings of the found cell, and number of random cells."""


@dataclass(frozen=True)
class Trained:
    """One side of the comparison: a name and its trainings."""

    name: str
    runs: Sequence[TrainResult]

    @property
    def accuracy(self) -> str:
        """Mean and standard deviation of the test accuracy, in percent."""
        return Spread.of(100 * run.test_accuracy for run in self.runs).words("{:.2f}".format, " %")

    @property
    def parameters(self) -> str:
        """Number of parameters, or the smallest and largest one."""
        sizes = sorted({run.summary["parameters"] for run in self.runs})
        return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def run_demo(run_dir: Path | None = None, seed: int = 0, scale: str = "demo") -> Path:
    """Search in NAS-Bench-201's space, then train the found cell and random cells of the same size.

    Args:
        run_dir: folder of all runs. Finished runs in it are kept, unfinished ones are continued. None makes a new folder in
            ``runs/demo``.
        seed: seed of the search; trainings and random cells use the seeds ``3 * seed`` to ``3 * seed + 2``.
        scale: budget.

    Returns:
        The page about all runs.

    Raises:
        Stopped: a signal stopped a run at a checkpoint; the message gives the command that continues the demo.
    """
    folder = run_dir or Path("runs", "demo", time.strftime("%Y%m%d-%H%M%S"))
    common: dict[str, Any] = {"data": "digits", "scale": scale}
    seeds = range(TRAININGS * seed, TRAININGS * (seed + 1))

    def training(name: str, genotype: str, seed: int) -> TrainConfig:
        return train_config(genotype=genotype, seed=seed, run={"run_dir": folder / name}, **common)

    command = shlex.join(["adarts", "demo", "--run-dir", str(folder), "--seed", str(seed), "--scale", scale])
    try:
        print(f"1 of 3: searching for a cell with {METHOD}, where the accuracy of every cell is known", flush=True)
        run = {"run_dir": folder / "search"}
        search = run_search(search_config(space=NASBENCH201.name, method=METHOD, seed=seed, run=run, **common))
        print(f"\n2 of 3: training the network of the found cell, {TRAININGS} times", flush=True)
        text = search.genotype.to_text()
        found = Trained("found cell", [run_training(training(f"found-{s}", text, s)) for s in seeds])
        print(f"\n3 of 3: training the networks of {TRAININGS} random cells, at least as large", flush=True)
        size = found.runs[0].summary["parameters"]
        at_random = [training(f"random-{s}", f"random:{NASBENCH201.name}:{s}", s) for s in seeds]
        random = Trained("random cells", [run_training(_as_large(config, size)) for config in at_random])
    except Stopped as stopped:
        raise Stopped(
            f"{str(stopped).split('; continue with')[0]}; continue with: {command}", stopped.exit_code
        ) from None

    runs = [search.run_dir, *(run.run_dir for run in (*found.runs, *random.runs))]
    page = write_report(runs, folder / "report.html", _lead(search, found, random))
    write_atomically(folder / "summary.json", to_json(_summary(search, found, random)))
    print(
        f"\n{_in_words(search)}\n\ntest accuracy on the digits, mean and standard deviation of {TRAININGS} trainings:"
    )
    for side in (found, random):
        print(f"  {side.name:<13} {side.accuracy:<16} {side.parameters} parameters")
    print(f"\nnext:\n{in_lines()}\n\nreport: {page}")
    return page


def _as_large(config: TrainConfig, parameters: int) -> TrainConfig:
    """The training with the narrowest network that has at least this many parameters."""
    genotype, cells = resolve_genotype(str(config.genotype)), config.network.cells
    assert cells is not None  # the network of a genotype
    channels = width_for(genotype, parameters, num_classes=10, cells=cells, in_channels=1)
    return config.model_copy(update={"network": config.network.model_copy(update={"channels": channels})})


@cache
def known_means() -> tuple[float, float]:
    """Mean CIFAR-10 test accuracy of all cells, and of cells with only convolutions and at most one skip connection."""
    truths = all_truths()
    bounded = [t for t in truths if t.arch.count("conv") >= 5 and t.arch.count("conv") + t.arch.count("skip") == 6]
    all_cells, of_convolutions = ([t.cifar10.test for t in cells] for cells in (truths, bounded))
    return sum(all_cells) / len(all_cells), sum(of_convolutions) / len(of_convolutions)


def _in_words(search: SearchResult) -> str:
    """Compare the found cell with other cells of the benchmark, in words."""
    truth, (all_cells, of_convolutions) = search.summary["truth"], known_means()
    return (
        f"The found cell reaches {truth['cifar10']:.2f} % on CIFAR-10 in NAS-Bench-201: rank {truth['rank']:,} of 15,625. "
        f"The mean of all cells is {all_cells:.2f} %. The mean of cells with only convolutions and at most one skip connection "
        f"is {of_convolutions:.2f} %."
    )


def _lead(search: SearchResult, found: Trained, random: Trained) -> Lead:
    return Lead(
        title="adarts demo: what a search is worth",
        paragraphs=[
            _in_words(search) + " The search saw only handwritten digits.",
            f"{METHOD} is a variant from this project and was developed in this space; results/demo compares it with the "
            "published methods at this budget. One search proves little, because results vary with the seed.",
            "The table compares networks trained on the digits with the same budget. Each random cell's network is just wide "
            "enough to have at least as many parameters as the found cell's network. The standard deviation is over trainings "
            "of the found cell, and over different random cells.",
        ],
        head=("Network", f"Test accuracy on the digits, {TRAININGS} trainings", "Parameters"),
        rows=[(side.name.capitalize(), side.accuracy, side.parameters) for side in (found, random)],
        charts=[_by_epoch(search)],
        commands=NEXT_STEPS,
    )


def _by_epoch(search: SearchResult) -> Chart:
    accuracies = column(read_run(search.run_dir), "truth", "cifar10")
    all_cells, of_convolutions = known_means()
    levels = {"best cell": best("cifar10").cifar10.test, "mean of convolutions, at most one skip": of_convolutions}
    curves = {"chosen cell": accuracies} | {name: [level] * len(accuracies) for name, level in levels.items()}
    series = [Series(name, series_look(index), [values]) for index, (name, values) in enumerate(curves.items())]
    lowest = min(value for value in [86.0, *accuracies] if value is not None)
    title = "True CIFAR-10 accuracy of the cell that the search would choose, by epoch (%)"
    return Chart(title, series, low=lowest, high=95, rule=Rule(all_cells, "mean of all cells"))


def _summary(search: SearchResult, found: Trained, random: Trained) -> dict[str, Any]:
    def facts(run: TrainResult) -> dict[str, Any]:
        return {name: run.summary[name] for name in ("seed", "test_accuracy", "parameters", "macs", "genotype_source")}

    return {
        "method": search.summary["method"],
        "seed": search.summary["seed"],
        "genotype": search.genotype.to_text(),
        "truth": search.summary["truth"],
        "found": [facts(run) for run in found.runs],
        "random": [facts(run) for run in random.runs],
    }
