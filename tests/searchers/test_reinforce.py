"""REINFORCE: its gradient, its baseline and its updates against torch."""

import numpy as np
import pytest
import torch

from adarts.searchers import Score, Trial, create_searcher
from adarts.spaces import DARTS, NASBENCH201, SPACES, get_space, random_genotype


@pytest.mark.parametrize("name", sorted(SPACES.known))
def test_the_gradient_of_the_log_probability_against_autograd(name):
    space = get_space(name)
    searcher = create_searcher("reinforce", space, 0)
    for seed in range(3):
        noise_do = np.random.default_rng(seed).normal(size=searcher.logits_do.shape)
        searcher.logits_do = searcher.logits_do + noise_do
        cells = random_genotype(space, seed)
        logits_do = torch.tensor(searcher.logits_do, requires_grad=True)
        log_do = torch.log_softmax(logits_do, 1)
        sum(log_do[row, column] for row, column in searcher.decisions.taken(cells).items()).backward()
        expected_do = logits_do.grad.nan_to_num()
        np.testing.assert_allclose(searcher.log_gradient(cells), expected_do.numpy(), atol=1e-12)


@pytest.mark.parametrize("space", [NASBENCH201, DARTS], ids=lambda space: space.name)
def test_the_updates_are_those_of_torch_with_the_published_values(space):
    searcher = create_searcher("reinforce", space, 3)
    logits_do = torch.tensor(searcher.logits_do, requires_grad=True)
    adam = torch.optim.Adam([logits_do], lr=0.01)
    numerator = denominator = 0.0
    for number, reward in enumerate((90.0, 10.0, 85.0, 93.0, 50.0)):
        cells = searcher.ask(number)
        searcher.tell(Trial(number, cells, Score(reward)))
        numerator, denominator = 0.9 * numerator + 0.1 * reward, 0.9 * denominator + 0.1
        log_do = torch.log_softmax(logits_do, 1)
        chosen = torch.stack([log_do[row, column] for row, column in searcher.decisions.taken(cells).items()])
        adam.zero_grad()
        (-chosen.sum() * (reward - numerator / denominator)).backward()
        logits_do.grad.nan_to_num_()
        adam.step()
        np.testing.assert_allclose(searcher.logits_do, logits_do.detach().numpy(), atol=1e-9)


def test_the_first_reward_is_its_own_baseline():
    """The average is updated first and its start is corrected for, so the first proposal teaches nothing."""
    searcher = create_searcher("reinforce", NASBENCH201, 0)
    searcher.tell(Trial(0, searcher.ask(0), Score(70.0)))
    assert np.abs(searcher.logits_do).max() < 1e-6
    searcher.tell(Trial(1, searcher.ask(1), Score(80.0)))
    assert np.abs(searcher.logits_do).max() > 1e-3


def test_proposals_follow_the_probabilities():
    searcher = create_searcher("reinforce", NASBENCH201, 0)
    searcher.logits_do[0] = np.log([0.1, 0.2, 0.3, 0.4, 1e-9])
    drawn = [searcher.ask(number).by_edge("normal").get((0, 1), "none") for number in range(4000)]
    shares = [drawn.count(name) / 4000 for name in NASBENCH201.operations]
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.0], abs=0.03)
