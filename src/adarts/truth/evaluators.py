"""Evaluators that look cells up: they judge a searcher in seconds, without training a network.

``nasbench201`` follows the protocol of NATS-Bench (Dong et al., TPAMI 2021; its scripts are in the repository
D-X-Y/AutoDL-Projects): a searcher sees the validation accuracy after 12 epochs, pays the seconds of this training, and is judged
by the test accuracy after 200 epochs. ``darts`` is the estimate of this package.
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from scipy.stats import norm

from adarts.errors import ConfigError, nearest
from adarts.models.cost import operation_sizes
from adarts.searchers import Score
from adarts.seeding import derive_seed
from adarts.spaces import NASBENCH201, Genotype, get_space
from adarts.truth import estimate, table
from adarts.truth.estimate import Numbers
from adarts.truth.floors import parameters
from adarts.truth.judge import Judge, judge_of

SECONDS = {
    "none": 0.576,
    "skip_connect": 0.420,
    "nor_conv_1x1": 2.298,
    "nor_conv_3x3": 2.897,
    "avg_pool_3x3": 1.481,
}
"""Seconds of an epoch on 25,000 images of CIFAR-10 that an edge with this operation costs.

Times are in no small public file. These constants are a least squares fit of a sum over the edges to the 23 cells whose times are
public, in the test assets of NASLib and the samples of NATS-Bench, with a root mean square error of 0.20 s (2 %).
"""

_EPOCHS = 12
_VALIDATION = 0.245, 1.03  # seconds: a share of an epoch, and a constant; from the same fit
_BANDS = (0, 20, 40, 60, 70, 80, 83)  # lower ends of ranges of the accuracy after 12 epochs; the best cell has 84.9
_QUANTILES = 24  # of the noise, in the exact expectation


@dataclass(frozen=True)
class Corner:
    """The ranges within which the front of a search is measured: accuracies in percent, and parameters."""

    lowest: float
    highest: float
    smallest: int
    largest: int


class TableEvaluator(ABC):
    """Scores cells by what is known about them.

    Args:
        data: data set of the accuracies.
        noise: seed of the noise that is put back into the scores; None leaves it out.

    Raises:
        ConfigError: nothing is known on this data set, or there is no noise to put back.

    Attributes:
        space: name of the space.
        shows: what the score's value is.
        simulates: whether it simulates the seconds of an evaluation.
        judge: tells the true accuracies.
        data: the data set.
        corner: ranges of the true accuracies and sizes of the cells.
    """

    space: ClassVar[str]
    shows: ClassVar[str]
    simulates: ClassVar[bool]
    corner: Corner

    def __init__(self, data: str = "cifar10", noise: int | None = None) -> None:
        self.judge: Judge = judge_of(self.space)
        self.data, self.noise = data, noise
        if data not in self.judge.data_sets:
            known = self.judge.data_sets
            raise ConfigError(
                f"the evaluator '{self.space}' knows no accuracies on {data[:60]!r}{nearest(data, known)}"
            )

    @abstractmethod
    def __call__(self, genotype: Genotype, number: int) -> Score:
        """Score the cells.

        Args:
            genotype: cells of the space.
            number: number of the proposal; seeds the noise.

        Raises:
            DataError: nothing is known about such cells.
        """

    def accuracy(self, genotype: Genotype) -> float:
        """The accuracy by which a searcher is judged, in percent; raises as calling the evaluator."""
        return self.judge.of(genotype).accuracy(self.data)

    def expected_best(self, evaluations: Sequence[float]) -> list[tuple[float, float]] | None:
        """Mean and standard deviation of the accuracy that random search ends with, exact; None if not known.

        Args:
            evaluations: numbers of evaluations, which need not be whole.
        """
        return None

    @property
    def mean_cost(self) -> float:
        """Mean seconds of the evaluation of a random cell; 0 if they are not simulated."""
        return 0.0


class NasBench201(TableEvaluator):
    """All cells of NAS-Bench-201.

    Value: validation accuracy after 12 epochs, in percent. Size: parameters of the network with 10 classes. Cost: the simulated
    seconds of this training and of one pass over the 25,000 validation images, 12 t + 0.245 t + 1.03 with the sum t of `SECONDS`
    over the six edges. On CIFAR-100 a training sees 50,000 images and the validation 5,000, so they count 2 and 0.2 times as
    long; no times were measured there.

    The table has the mean of two trainings on CIFAR-10, and NATS-Bench draws one of the two at each query. They are the mean
    plus and minus half their difference. If the noise of a training has the standard deviation s, this half and the mean of two
    both have s / sqrt(2). So the half has the same deviation as isomorphic cells have in the table, and is taken from there,
    pooled in ranges of the accuracy: 0.86 points from 60 to 70 %, 0.63 to 80, 0.33 to 83, 0.27 above, and none where nothing is
    learned. With noise, the half of every cell is drawn once per seed, and its sign by the number of the proposal.
    """

    space, shows, simulates = "nasbench201", "validation accuracy after 12 epochs", True

    def __init__(self, data: str = "cifar10", noise: int | None = None) -> None:
        super().__init__(data, noise)
        if noise is not None and data != "cifar10":
            raise ConfigError(f"the table has a single training on {data}, so there is no noise to put back")
        self.corner = _corner(data)
        if noise is not None:
            deviations = noise_of_cells()
            normal = np.random.default_rng(derive_seed(noise, "trainings")).standard_normal(len(deviations))
            self._halves = (deviations * normal).tolist()

    def __call__(self, genotype: Genotype, number: int) -> Score:
        truth, epoch = _known(genotype)
        value = truth.on(self.data).validation_12
        if self.noise is not None:
            half = self._halves[truth.index]
            value += half if derive_seed(self.noise, "training", number) % 2 else -half
        return Score(value, self._cost(epoch), truth.parameters)

    def expected_best(self, evaluations: Sequence[float]) -> list[tuple[float, float]]:
        """The best of n random cells by the value, for several n, which need not be whole.

        Of N equally likely values, the k-th is the highest of n draws with probability (k / N)^n - ((k - 1) / N)^n. The noise
        enters by its quantiles.
        """
        truths = table.all_truths()
        values = np.array([truth.on(self.data).validation_12 for truth in truths])
        accuracies = np.array([truth.accuracy(self.data) for truth in truths])
        if self.noise is not None:
            quantiles = norm.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
            values = (values[:, None] + noise_of_cells()[:, None] * quantiles).ravel()
            accuracies = accuracies.repeat(_QUANTILES)
        ordered, below = accuracies[np.argsort(values, kind="stable")], np.linspace(0, 1, len(values) + 1)
        found = []
        for number in evaluations:
            shares = np.diff(below**number)
            mean = float(shares @ ordered)
            found.append((mean, math.sqrt(float(shares @ (ordered - mean) ** 2))))
        return found

    @property
    def mean_cost(self) -> float:
        """Mean seconds of the evaluation of a random cell."""
        return self._cost(len(NASBENCH201.edges) * statistics.fmean(SECONDS.values()))

    def _cost(self, epoch: float) -> float:
        """Seconds of an evaluation, from those of an epoch on 25,000 images."""
        trained, validated = (1.0, 1.0) if self.data == "cifar10" else (2.0, 0.2)
        return _EPOCHS * epoch * trained + validated * (_VALIDATION[0] * epoch + _VALIDATION[1])


class DartsEstimate(TableEvaluator):
    """The DARTS space by the estimate of this package.

    Value: the estimated validation accuracy after 98 epochs, in percent, by which the searcher is judged, too. So its figures say
    how well a searcher finds the top of the estimate. Size: parameters of the cells' operations in the network of the estimate.
    Cost: 0, so a budget counts evaluations.
    """

    space, shows, simulates = "darts", f"estimated {estimate.FIGURE}", False

    def __init__(self, data: str = "cifar10", noise: int | None = None) -> None:
        super().__init__(data, noise)
        if noise is not None:
            raise ConfigError("the evaluator 'darts' is an estimate, so there is no noise of a training to put back")
        kept = 2 * len(estimate.NODES)  # edges of a cell
        sizes_keo = operation_sizes(get_space("darts"), estimate.CHANNELS, estimate.CELLS)
        self.corner = Corner(91.5, estimate.HIGHEST, 0, kept * int(sizes_keo.amax((1, 2)).sum()))

    def __call__(self, genotype: Genotype, number: int) -> Score:
        genotype.require_within(get_space(self.space))
        cell = estimate.encode(genotype)[None]
        return Score(round(float(estimate.estimates(cell)[0]), 4), size=int(parameters(cell)[0]))


EVALUATORS: dict[str, type[TableEvaluator]] = {one.space: one for one in (NasBench201, DartsEstimate)}
"""The evaluators by name, which is that of their space."""


def get_evaluator(name: str) -> type[TableEvaluator]:
    """Look up an evaluator by name.

    Raises:
        ConfigError: it is unknown.
    """
    if name not in EVALUATORS:
        raise ConfigError(f"unknown evaluator {name[:60]!r}{nearest(name[:60], EVALUATORS)}")
    return EVALUATORS[name]


@cache
def noise_of_cells() -> Numbers:
    """For every cell of NAS-Bench-201, by index, the standard deviation (n,) of the noise in its accuracy after 12 epochs.

    It is that of isomorphic cells in the same range of the accuracy on CIFAR-10, pooled, in percentage points.
    """
    truths = table.all_truths()
    values = np.array([truth.cifar10.validation_12 for truth in truths])
    structures = np.array([truth.structure for truth in truths])
    numbers = np.bincount(structures)
    means = np.bincount(structures, values) / numbers.clip(1)
    squares = np.bincount(structures, (values - means[structures]) ** 2)
    bands = np.digitize(means, _BANDS)
    squares, freedoms = (np.bincount(bands, what) for what in (squares, (numbers - 1).clip(0)))
    deviations: Numbers = np.sqrt(squares / freedoms.clip(1))[np.digitize(values, _BANDS)]
    return deviations


@cache
def _corner(data: str) -> Corner:
    """The ranges of the cells that learn something in NAS-Bench-201."""
    sizes = [truth.parameters for truth in table.all_truths()]
    return Corner(80.0 if data == "cifar10" else 40.0, table.best(data).accuracy(data), min(sizes), max(sizes))


@cache
def _known(genotype: Genotype) -> tuple[table.Truth, float]:
    """The measurements of a cell, and the simulated seconds of an epoch on 25,000 images."""
    truth = table.truth_of(genotype)
    return truth, math.fsum(SECONDS[operation] for operation in truth.operations)
