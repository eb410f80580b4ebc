"""Trials: each cell is trained as if it were alone, and the model knows sizes exactly and speeds as ridge regression does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adarts.errors import ConfigError
from adarts.methods.trials import PRIOR, Scores, Sizes, Trial, Trials, features
from adarts.models import Network
from adarts.models.cost import count_parameters
from adarts.models.limits import Limits, Shape, widest
from adarts.models.stem import stride_for
from adarts.seeding import generator
from adarts.spaces import DARTS, SPACES, get_space, random_genotype
from adarts.testing.searches import small_search

CIFAR = Shape(num_classes=10, in_channels=3, image_size=(32, 32))
SIZES = Sizes(Trials.Options(), CIFAR)
TINY = {"search": {"epochs": 2, "steps": 6, "warmup_epochs": 0}, "options": {"steps": 3, "drawn": 3}}


def trials(number: int, losses=None) -> list[Trial]:
    losses = torch.rand(number, generator=generator(0, "losses")).tolist() if losses is None else losses
    return [Trial(random_genotype(DARTS, seed), loss) for seed, loss in enumerate(losses)]


@pytest.mark.parametrize("name", sorted(set(SPACES.known) - {"s4"}))
def test_the_size_is_that_of_the_network(name):
    space = get_space(name)
    cells = [random_genotype(space, seed) for seed in range(3)]
    with torch.device("meta"):
        counted = [count_parameters(Network(cell, 10, channels=32, cells=8)) for cell in cells]
    assert SIZES(cells).exp().round().tolist() == counted


def test_the_expected_score_is_that_of_ridge_regression():
    """The oracle solves the regression as least squares with the prior as further rows."""
    known, asked = trials(40), [random_genotype(DARTS, seed) for seed in range(100, 105)]
    drawn, weight = 20, 0.5
    speeds = -np.array([trial.loss for trial in known])
    speeds = (speeds - speeds[:drawn].mean()) / speeds[:drawn].std()
    x = features(DARTS, [trial.genotype for trial in known]).numpy()
    rows = np.concatenate([x - x.mean(0), np.sqrt(PRIOR) * np.eye(x.shape[1])])
    slopes = np.linalg.lstsq(rows, np.concatenate([speeds - speeds.mean(), np.zeros(x.shape[1])]), rcond=None)[0]
    sizes = SIZES([trial.genotype for trial in known[:drawn]]).numpy()
    z = (SIZES(asked).numpy() - sizes.mean()) / sizes.std()
    expected = weight * z + speeds.mean() + (features(DARTS, asked).numpy() - x.mean(0)) @ slopes
    assert Scores(DARTS, known, drawn, weight, SIZES).mean(asked).numpy() == pytest.approx(expected, abs=1e-9)


@pytest.mark.full
def test_with_limits_the_size_is_that_of_the_network_within_them():
    """The unit stays the spread of the sizes without limits."""
    known, drawn, weight = trials(8), 5, 0.5
    cells = [trial.genotype for trial in known]
    options = Trials.Options(channels=16, cells=5, max_params=60_000, max_macs=9_000_000)
    free = Sizes(options.model_copy(update={"max_params": None, "max_macs": None}), CIFAR)
    scores = [Scores(DARTS, known, drawn, weight, sizes).mean(cells) for sizes in (free, Sizes(options, CIFAR))]
    widths = [widest(cell, 5, CIFAR, Limits(60_000, 9_000_000), most=16) for cell in cells]
    with torch.device("meta"):
        found, whole = (
            [count_parameters(CIFAR.network(cell, width, 5)) for cell, width in zip(cells, wide, strict=True)]
            for wide in (widths, [16] * 8)
        )
    unit = np.log(whole[:drawn]).std()
    loss = weight * (np.log(whole) - np.log(found)) / unit
    assert (scores[0] - scores[1]).numpy() == pytest.approx(loss, abs=1e-9) and len(set(widths)) > 1


def test_a_search_with_limits_knows_its_images():
    """Their side, channels and classes count in the limits; the network may have larger images."""
    limited = {"max_params": 20_000, "max_macs": 3_000_000, "channels": 8, "cells": 3}
    for side, seen in (({}, 16), ({"image_size": 96}, 96)):
        search = small_search(Trials, TINY, {"options": {**limited, **side}})
        shape = Shape(10, 1, (seen, seen), stride_for((seen, seen)))
        cells = [random_genotype(DARTS, seed) for seed in range(3)]
        assert torch.equal(search.method.sizes(cells), Sizes(search.method.options, shape)(cells))


def test_a_known_cell_is_tried_before_random_ones():
    known = random_genotype(DARTS, 70).to_text()
    search = small_search(Trials, TINY, {"options": {"known": known}})
    for step in range(6):
        search.step(0, step)
    assert [trial.genotype.to_text() == known for trial in search.method.trials] == [True, False]
    arch = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    with pytest.raises(ConfigError, match="is of the space 'nasbench201', not of 'darts'"):
        small_search(Trials, TINY, {"options": {"known": arch}})


@pytest.mark.full
def test_samples_spread_less_on_cells_like_the_tried_ones():
    known = trials(60)
    scores, draws = Scores(DARTS, known, 20, 1.0, SIZES), generator(0, "samples")
    tried = [trial.genotype for trial in known]
    other = [random_genotype(DARTS, seed) for seed in range(1000, 1060)]
    samples = torch.stack([scores.sampled(tried + other, draws) for _ in range(200)])
    spread = samples.std(0)
    assert spread[:60].mean() < spread[60:].mean()
    error = spread / 200**0.5
    assert ((samples.mean(0) - scores.mean(tried + other)).abs() < 5 * error).all()


def test_a_trial_is_the_training_of_its_cell_alone():
    """The second trial ends with the loss of a search whose supernet has had this cell from the start."""
    search = small_search(Trials, TINY)
    for step in range(6):
        search.step(0, step)
    first, second = search.method.trials
    alone = small_search(Trials, TINY)
    net = alone.supernet
    for kind in net.space.cell_kinds:
        net.set_active(kind, second.genotype.mask(kind))
    sums = [alone.step(0, step) for step in (3, 4)]
    alone.go_to(0, 5)  # a third `step` would end this trial
    sums.append(alone.update("weights"))
    loss = sum(float(one["loss"]) for one in sums) / sum(float(one["images"]) for one in sums)
    assert second.loss == pytest.approx(loss, rel=1e-6)  # the sums of the trial are of single precision
    assert first.genotype != second.genotype


def test_proposals_follow_the_losses():
    """If only one operation is slow, the proposals avoid it after the random cells."""
    search = small_search(Trials, TINY)
    method = search.method
    method.options = Trials.Options(steps=3, drawn=60, size_weight=0)

    def loss(cell) -> float:
        return sum(cell.num_operations(kind, "max_pool_3x3") for kind in DARTS.cell_kinds) / 16

    method.trials = [Trial(cell, loss(cell)) for cell in (random_genotype(DARTS, seed) for seed in range(60))]
    for _ in range(20):
        cell = method._propose(search, DARTS)
        method.trials.append(Trial(cell, loss(cell)))
    proposed = [loss(trial.genotype) for trial in method.trials[60:]]
    assert np.mean(proposed[-10:]) < 0.3 * np.mean([loss(trial.genotype) for trial in method.trials[:60]])
    assert loss(method.derive(search.supernet)) == 0


def test_a_small_budget_is_named():
    search = small_search(Trials, TINY)
    assert "allows 4 trials, and the first 3 of them are random" in search.method.budget_warning(search)
    assert small_search(Trials, TINY, {"options": {"steps": 2}}).method.budget_warning(search) is None
