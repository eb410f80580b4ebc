"""What an experiment is: the runs that it asks for, and the tables and figures that it makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from adarts.config.settings import SearchConfig, TrainConfig
from adarts.experiments.reproducing.budgets import Plan, share
from adarts.experiments.reproducing.runs import Found, Runs, Step
from adarts.models.cost import network_sizes
from adarts.report.charts import Chart, Dot
from adarts.report.numbers import Spread
from adarts.report.statistics import Paired, Sample, correlation
from adarts.report.tables import Cell, Table
from adarts.spaces import Genotype
from adarts.truth.floors import darts_floors
from adarts.zoo.catalog import CELLS, CHANNELS

PAPER = "Xue, Qin: Partial Connection Based on Channel Attention for Differentiable NAS, IEEE TII 2023"

FLOORS = ("random cells", "largest 0.5 % of random cells", "separable convolutions")
"""Cells that need no search, as in `adarts truth floors`."""


@dataclass(frozen=True)
class Figure:
    """Charts side by side, for the page, and as SVG and PDF files.

    Attributes:
        name: name of its files.
        charts: the charts.
        caption: what it shows, with n and budget.
        heading: heading of several charts.
    """

    name: str
    charts: Sequence[Chart]
    caption: str
    heading: str = ""


@dataclass(frozen=True)
class Scatter:
    """A scatter plot, for the page, and as SVG and PDF files."""

    name: str
    title: str
    x_title: str
    y_title: str
    dots: Sequence[Dot]
    caption: str


@dataclass(frozen=True)
class Cells:
    """Drawings of cells.

    Attributes:
        name: beginning of the names of their files.
        title: which cells.
        genotype: the cells.
        kinds: which of them.
    """

    name: str
    title: str
    genotype: Genotype
    kinds: Sequence[str] = ("normal", "reduction")


@dataclass(frozen=True)
class Results:
    """What an experiment says.

    Attributes:
        findings: sentences made of the numbers.
        tables: the tables, the main one first.
        figures: charts.
        scatters: scatter plots.
        cells: drawings of cells.
    """

    findings: Sequence[str]
    tables: Sequence[Table]
    figures: Sequence[Figure] = ()
    scatters: Sequence[Scatter] = ()
    cells: Sequence[Cells] = field(default_factory=tuple)


class Experiment(ABC):
    """An experiment of the paper.

    Attributes:
        name: its name on the command line.
        title: what it reproduces.
        place: its place in the paper.
        claim: what the paper says there.
        reading: how to read the reproduction.
        methods: the methods that are searched with, unless `searches` says otherwise, and whose budget the captions state.
        trains: whether it trains cells.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    place: ClassVar[str]
    claim: ClassVar[str]
    reading: ClassVar[str]
    methods: ClassVar[Sequence[str]] = ("adarts",)
    trains: ClassVar[bool] = True

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seeds = plan.searched(self.name)
        self.trained = plan.trainings(self.name)

    def searches(self) -> list[SearchConfig]:
        """The searches; the first seed of all rows comes first."""
        return self.searches_with(*self.methods)

    def steps(self) -> list[SearchConfig]:
        """The searches whose step is measured for time and memory."""
        return []

    def trainings(self, found: Found) -> list[TrainConfig]:
        """The trainings of the cells that were found, and of others."""
        return []

    @abstractmethod
    def results(self, runs: Runs) -> Results:
        """Tables and figures from the finished runs; what is missing was not measured."""

    # ------------------------------------------------------------------------------------- what several experiments need

    def searches_with(self, *methods: str, trained: bool = False) -> list[SearchConfig]:
        """The searches of methods, the first seed of all methods first; with `trained`, only those whose cells are trained."""
        seeds = self.trained if trained else self.seeds
        return [self.plan.search(method, seed) for seed in seeds for method in methods]

    def trained_cells(self, found: Found, search: SearchConfig, data: str | None = None) -> TrainConfig | None:
        """The training of the cells that a search found, with the seed of the search; None if there are no cells yet."""
        cells = found(search)
        return None if cells is None else self.plan.training(cells, search.seed, data)

    def estimates(self, runs: Runs, searches: Sequence[SearchConfig]) -> Sample | None:
        """The estimates of the cells that searches found."""
        return Sample.of(map(runs.estimate, searches))

    def accuracies(self, runs: Runs, searches: Sequence[SearchConfig], data: str | None = None) -> dict[int, float]:
        """Test accuracies of the cells that searches found, by seed."""
        trained = {search.seed: self.trained_cells(runs.cells, search, data) for search in searches}
        known = {seed: runs.accuracy(config) for seed, config in trained.items()}
        return {seed: value for seed, value in known.items() if value is not None}

    def skips(self, runs: Runs, searches: Sequence[SearchConfig], kind: str = "normal") -> Sample | None:
        """Skip connections of the cells that searches found."""
        known = [cells for search in searches if (cells := runs.cells(search)) is not None]
        return Sample.of(float(cells.num_operations(kind, "skip_connect")) for cells in known)

    def sizes(self, runs: Runs, searches: Sequence[SearchConfig]) -> Sample | None:
        """Millions of parameters of the cells that searches found, in the paper's network for CIFAR-10."""
        return Sample.of(size_of(cells) for search in searches if (cells := runs.cells(search)) is not None)

    @property
    def number(self) -> str:
        """How many seeds the numbers rest on, in words."""
        numbers = f"searches of a row: {len(self.seeds)}, trained: {len(self.trained)}"
        return f"Mean ± sample standard deviation over the seeds ({numbers})."

    def caption(self, what: str = "", trained: bool = True) -> str:
        """Budget of the searches and, if it is about trained cells, too, of the trainings, and share of the images."""
        scale = f"Scale {self.plan.budget.scale}."
        is_trained = trained and self.trains and len(self.trained) > 0
        words = trained_in_words(self.plan.training("ADARTS_V1", 0)) if is_trained else ""
        return " ".join(filter(None, (what, scale, self._searched(), words)))

    def _searched(self) -> str:
        """The budgets of the searches, each with the methods that have it."""
        budgets: dict[str, list[str]] = {}
        for method in self.methods:
            budgets.setdefault(searched_in_words(self.plan.search(method, 0)), []).append(method)
        return " ".join(f"Searches of {', '.join(names)}: {words}" for words, names in budgets.items())


def size_of(cells: Genotype) -> float:
    """Millions of parameters in the paper's network for CIFAR-10: 36 channels, 20 cells, without auxiliary head."""
    return float(network_sizes([cells], CHANNELS, CELLS)[0]) / 1e6


def searched_in_words(config: SearchConfig) -> str:
    """The budget of a search."""
    loop, shape = config.search, config.supernet
    steps = "one pass through the images of the weights" if loop.steps is None else f"{loop.steps} steps"
    pixels = f" at {config.images.size}x{config.images.size} pixels" if config.images.size else ""
    return (
        f"{loop.epochs} epochs of {steps} of {loop.batch_size} images, {loop.warmup_epochs} of them warm-up; "
        f"{shape.cells} cells, {shape.channels} channels; {config.data}{pixels}, {share(config.data, config.images.per_class)}."
    )


def trained_in_words(config: TrainConfig) -> str:
    """The budget of a training."""
    loop, shape = config.training, config.network
    steps = "" if loop.steps is None else f" of {loop.steps} steps"
    pixels = f"{config.images.size}x{config.images.size} pixels, " if config.images.size else ""
    return (
        f"Trainings: {loop.epochs} epochs{steps} of {loop.batch_size} images; {shape.cells} cells, {shape.channels} channels; "
        f"{pixels}{share(config.data, config.images.per_class)}, cutout {config.images.cutout}. "
        "Test accuracy after the last epoch."
    )


def difference_cells(found: Paired | None) -> list[Cell]:
    """Cells for a paired difference: the difference, its interval, and the p-value."""
    if found is None:
        return [None, None, None]
    interval = found.differences.interval
    words = "n = 1" if interval is None else f"{interval[0]:+.2f} to {interval[1]:+.2f}"
    return [found.differences, words, "–" if found.p is None else found.p]


def step_cells(step: Step | None, first: Step | None) -> list[Cell]:
    """Cells for a measured step: seconds, their ratio to those of the first row, memory in MB, and its ratio."""
    if step is None:
        return [None, None, None, None]
    seconds = None if first is None else step.seconds / first.seconds
    memory = None if first is None or not first.memory else step.memory / first.memory
    return [step.seconds, seconds, step.memory / 1e6, memory]


STEP_CAPTION = (
    "A step is one update of the alphas and one of the weights, measured alone in a process of its own (n = 1, median of 3 "
    "steps); its memory is the peak above that of the idle process."
)


def floors() -> dict[str, Spread]:
    """Estimates of cells that need no search, by name."""
    return {floor.name: floor.accuracies["cifar10"].spread for floor in darts_floors("darts") if floor.name in FLOORS}


def agreement(pairs: Mapping[str, tuple[float, float, str]], name: str, caption: str) -> tuple[str, list[Scatter]]:
    """How far the estimate of cells agrees with their trained accuracy: a sentence, and a scatter plot of at least four cells.

    Args:
        pairs: by training, the estimate, the test accuracy, and what kind of cells it is.
        name: name of the files.
        caption: caption of the plot.
    """
    found = correlation([(estimate, accuracy) for estimate, accuracy, _ in pairs.values()])
    if found is None:
        return f"Rank correlation of estimate and trained accuracy: not measured, with {len(pairs)} trained cells.", []
    text = f"Rank correlation of the estimate and the trained accuracy of the same cells: {found.words()}."
    dots = [Dot(*pair) for pair in pairs.values()]
    titles = "Estimate and training", "Estimate of the cells (%)", "Test accuracy after the training here (%)"
    return text, [Scatter(name, *titles, dots, f"{text} {caption}")]
