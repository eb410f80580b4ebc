"""What the evaluators say of cells, and the exact expectation of random search."""

import math
import statistics

import numpy as np
import pytest

from adarts.errors import ConfigError, DataError
from adarts.spaces import DARTS, NASBENCH201, Genotype, random_genotype
from adarts.truth import all_truths, estimate_of, lookup, same_structure
from adarts.truth.evaluators import SECONDS, DartsEstimate, NasBench201, get_evaluator, noise_of_cells

CONV = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
MIXED = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|none~2|"


def test_the_table_is_read_at_12_epochs_and_judged_at_200() -> None:
    for data in ("cifar10", "cifar100"):
        evaluate, cell = NasBench201(data), Genotype.from_text(CONV)
        score, known = evaluate(cell, 0), lookup(CONV)
        assert (score.value, score.size) == (known.on(data).validation_12, known.parameters)
        assert evaluate.accuracy(cell) == known.accuracy(data)
        assert evaluate(cell, 7) == score


def test_the_cost_is_that_of_twelve_epochs_and_a_validation() -> None:
    def cost(arch: str, data: str = "cifar10") -> float:
        return NasBench201(data)(Genotype.from_text(arch), 0).cost

    epoch = 6 * 2.897
    assert cost(CONV) == pytest.approx(12 * epoch + 0.245 * epoch + 1.03)
    assert cost(CONV, "cifar100") == pytest.approx(24 * epoch + 0.2 * (0.245 * epoch + 1.03))
    assert cost(MIXED) == pytest.approx(12.245 * (2 * 0.576 + 0.420 + 2.298 + 1.481 + 2.897) + 1.03)
    assert set(SECONDS) == set(NASBENCH201.operations)
    costs = [cost(truth.arch) for truth in all_truths()[::25]]
    assert NasBench201().mean_cost == pytest.approx(113.8, abs=0.05) == pytest.approx(statistics.fmean(costs), rel=0.02)


def test_the_noise_is_that_of_isomorphic_cells() -> None:
    truths = all_truths()
    middle = [truth for truth in truths if 80 <= truth.cifar10.validation_12 < 83]
    pairs = [[twin.cifar10.validation_12 for twin in same_structure(truth)] for truth in middle[::10]]
    measured = [np.var(values, ddof=1) for values in pairs if len(values) > 1]
    assert noise_of_cells()[middle[0].index] == pytest.approx(math.sqrt(np.mean(measured)), rel=0.25)
    assert noise_of_cells()[[truth.index for truth in truths if truth.cifar10.validation_12 < 20]].max() < 1e-9


def test_a_cell_has_two_trainings_and_the_number_draws_one_of_them() -> None:
    cell, mean = Genotype.from_text(CONV), lookup(CONV).cifar10.validation_12
    evaluate = NasBench201(noise=3)
    values = [evaluate(cell, number).value for number in range(200)]
    low, high = sorted(set(values))
    assert (low + high) / 2 == pytest.approx(mean) and high - low > 0.01
    assert 70 < values.count(low) < 130
    assert values == [NasBench201(noise=3)(cell, number).value for number in range(200)]
    seeds = np.array([NasBench201(noise=seed)(cell, 0).value for seed in range(300)])
    assert seeds.std() == pytest.approx(noise_of_cells()[lookup(CONV).index], rel=0.15)
    assert abs(seeds.mean() - mean) < 4 * seeds.std() / math.sqrt(300)


def test_the_exact_expectation_is_that_of_drawing() -> None:
    truths, random = all_truths(), np.random.default_rng(0)
    values = np.array([truth.cifar10.validation_12 for truth in truths])
    accuracies = np.array([truth.cifar10.test for truth in truths])
    cells = random.integers(len(truths), size=(4000, 40))
    noise = random.standard_normal(cells.shape) * noise_of_cells()[cells]
    for evaluator, seen in ((NasBench201(), values[cells]), (NasBench201(noise=0), values[cells] + noise)):
        drawn = accuracies[cells[np.arange(len(cells)), seen.argmax(1)]]
        ((mean, sd),) = evaluator.expected_best([40])
        assert abs(drawn.mean() - mean) < 3.5 * sd / math.sqrt(len(drawn))
        assert drawn.std() == pytest.approx(sd, rel=0.1)
    assert [mean for mean, _ in NasBench201().expected_best([1, 100, 180])] == pytest.approx(
        [accuracies.mean(), 93.730, 93.862], abs=0.001
    )


def test_the_estimate_of_a_darts_cell() -> None:
    evaluate = DartsEstimate()
    for seed in range(3):
        cell = random_genotype(DARTS, seed)
        score = evaluate(cell, seed)
        assert score.value == evaluate.accuracy(cell) == estimate_of(cell).cifar10
        assert score.cost == 0 and 0 < score.size <= evaluate.corner.largest
    assert evaluate.expected_best([10]) is None


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown evaluator 'nasbench101'; did you mean 'nasbench201'\?"):
        get_evaluator("nasbench101")
    with pytest.raises(ConfigError, match="a single training on cifar100, so there is no noise"):
        NasBench201("cifar100", noise=0)
    with pytest.raises(ConfigError, match="no noise of a training"):
        DartsEstimate(noise=0)
    with pytest.raises(ConfigError, match="knows no accuracies on 'digits'"):
        NasBench201("digits")
    for evaluate, space in ((NasBench201(), DARTS), (DartsEstimate(), NASBENCH201)):
        with pytest.raises(DataError, match="space"):
            evaluate(random_genotype(space, 0), 0)
