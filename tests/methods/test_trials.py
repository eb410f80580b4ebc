"""Trials: each cell is trained as if it were alone, and the model knows sizes exactly and speeds as ridge regression does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adarts.methods.trials import CELLS, CHANNELS, PRIOR, Scores, Trial, Trials, features, log_parameters
from adarts.models import Network
from adarts.models.cost import count_parameters
from adarts.seeding import generator
from adarts.spaces import DARTS, SPACES, get_space, random_genotype
from adarts.testing.searches import small_search

TINY = {"search": {"epochs": 2, "steps": 6, "warmup_epochs": 0}, "options": {"steps": 3, "drawn": 3}}


def trials(number: int, losses=None) -> list[Trial]:
    losses = torch.rand(number, generator=generator(0, "losses")).tolist() if losses is None else losses
    return [Trial(random_genotype(DARTS, seed), loss) for seed, loss in enumerate(losses)]


@pytest.mark.parametrize("name", sorted(set(SPACES.known) - {"s4"}))
def test_the_size_is_that_of_the_network(name):
    space = get_space(name)
    cells = [random_genotype(space, seed) for seed in range(3)]
    with torch.device("meta"):
        counted = [count_parameters(Network(cell, 10, CHANNELS, CELLS)) for cell in cells]
    assert log_parameters(cells).exp().round().tolist() == counted


def test_the_expected_score_is_that_of_ridge_regression():
    """The oracle solves the regression as least squares with the prior as further rows."""
    known, asked = trials(40), [random_genotype(DARTS, seed) for seed in range(100, 105)]
    drawn, weight = 20, 0.5
    speeds = -np.array([trial.loss for trial in known])
    speeds = (speeds - speeds[:drawn].mean()) / speeds[:drawn].std()
    x = features(DARTS, [trial.genotype for trial in known]).numpy()
    rows = np.concatenate([x - x.mean(0), np.sqrt(PRIOR) * np.eye(x.shape[1])])
    slopes = np.linalg.lstsq(rows, np.concatenate([speeds - speeds.mean(), np.zeros(x.shape[1])]), rcond=None)[0]
    sizes = log_parameters([trial.genotype for trial in known[:drawn]]).numpy()
    z = (log_parameters(asked).numpy() - sizes.mean()) / sizes.std()
    expected = weight * z + speeds.mean() + (features(DARTS, asked).numpy() - x.mean(0)) @ slopes
    assert Scores(DARTS, known, drawn, weight).mean(asked).numpy() == pytest.approx(expected, abs=1e-9)


def test_samples_spread_less_on_cells_like_the_tried_ones():
    known = trials(60)
    scores, draws = Scores(DARTS, known, 20, 1.0), generator(0, "samples")
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
