"""The ENAS controller: a distribution over the cells of the space, with the published sizes, ranges and updates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adarts.searchers import Score, Trial, create_searcher
from adarts.searchers.enas import Controller
from adarts.spaces import DARTS, NASBENCH201

SMALL = {
    "every edge": replace(NASBENCH201, num_nodes=2, operations=("none", "skip_connect", "nor_conv_1x1")),
    "one source": replace(DARTS, num_nodes=2, operations=("skip_connect", "sep_conv_3x3"), kept_edges=1),
    "two sources": replace(DARTS, num_nodes=2, operations=("skip_connect",)),
}
#: three edges with three operations; per kind of cell, a source and an operation twice; per kind, two orders of node 2's sources
#: and six of node 3's
COUNTS = {"every edge": 3**3, "one source": (2 * 2 * 3 * 2) ** 2, "two sources": (2 * 6) ** 2}


def all_samples(controller):
    """Every sample and its log-probability, word by word."""
    prefixes = [[]]
    while len(prefixes[0]) < controller.length:
        words_bs = torch.tensor([prefix + [0] * (controller.length - len(prefix)) for prefix in prefixes])
        place = len(prefixes[0])
        _, logs = controller(len(prefixes), lambda word, _: words_bs[:, word])  # noqa: B023
        prefixes = [
            [*prefix, option]
            for prefix, log_n in zip(prefixes, logs[place], strict=True)
            for option in range(len(log_n))
            if log_n[option] > -torch.inf
        ]
    words_bs = torch.tensor(prefixes)
    _, logs = controller(len(prefixes), lambda word, _: words_bs[:, word])
    return prefixes, sum(log_bn.gather(1, words_bs[:, [word]])[:, 0] for word, log_bn in enumerate(logs))


@pytest.mark.parametrize("name", SMALL)
def test_the_probabilities_of_all_samples_sum_to_1(name):
    controller = Controller(SMALL[name], 0)
    with torch.no_grad():
        samples, log_b = all_samples(controller)
    assert len(samples) == COUNTS[name]
    assert log_b.exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_the_sizes():
    """NAS-Bench-201: start 32, embedding 5 x 32, two layers of 4 x 32 x 64 weights and 2 x 4 x 32 biases, 32 x 5 + 5."""
    count = sum(parameter.numel() for parameter in Controller(NASBENCH201, 0).parameters())
    assert count == 32 + 160 + 2 * (8192 + 256) + 165
    # DARTS: start 64, embedding 8 x 64, a layer of 4 x 64 x 128, 64 x 8 + 8, and the attention 2 x 64 x 64 + 64
    assert sum(parameter.numel() for parameter in Controller(DARTS, 0).parameters()) == 64 + 512 + 32768 + 520 + 8256
    assert Controller(NASBENCH201, 0).length == 6
    assert Controller(DARTS, 0).length == 2 * 4 * 4


def test_the_first_preference_for_operations_with_weights():
    """The logits are about 0.44 + 0.25 against 0 - 0.25 in the normal cell, 0.44 against 0 in the reduction cell."""
    controller = Controller(DARTS, 0)
    torch.manual_seed(0)
    with torch.no_grad():
        words_bs, logs = controller(400, lambda _, log_bn: torch.multinomial(log_bn.exp(), 1)[:, 0])
    with_weights = torch.tensor([name not in DARTS.weight_free for name in DARTS.operations])
    for first, gap in ((0, 0.94), (16, 0.44)):
        words = [first + 4 * node + place for node in range(4) for place in (2, 3)]
        share = with_weights[words_bs[:, words]].float().mean().item()
        expected = 4 * torch.e**gap / (4 * torch.e**gap + 3)
        assert share == pytest.approx(expected, abs=0.03)
        for word in words:
            assert logs[word][:, 0].exp().max() == 0, "none is never drawn"
        sources_bs = words_bs[:, [first + 4 * node for node in range(4)]]
        others_bs = words_bs[:, [first + 4 * node + 1 for node in range(4)]]
        assert (sources_bs != others_bs).all()
    assert all(log_bn[log_bn > -torch.inf].diff().abs().max() < 2 * (0.44 + 0.25) + 2.2 for log_bn in logs)


@pytest.mark.parametrize("space", [DARTS, NASBENCH201], ids=lambda space: space.name)
def test_an_update_is_reinforce_with_the_published_values(space):
    """Baseline 0.99 that takes in each reward first, entropy in the reward, the mean over the samples, and Adam."""
    searcher = create_searcher("enas", space, 0, {"entropy": 0.5})
    twin = Controller(space, 0)
    ours = space is DARTS
    adam = torch.optim.Adam(
        twin.parameters(), lr=0.0035 if ours else 0.001, betas=(0.0 if ours else 0.5, 0.999), eps=1e-3
    )
    baseline = 0.0 if ours else None
    samples = 10 if ours else 20
    for update in range(2):
        words, scores = [], []
        for number in range(update * samples, (update + 1) * samples):
            words.append(searcher._written(number))
            scores.append(30.0 * (number % 3))
            searcher.tell(Trial(number, searcher.ask(number), Score(scores[-1])))
        words_bs = torch.tensor(words)
        _, logs = twin(samples, lambda word, _: words_bs[:, word])  # noqa: B023
        policies = [torch.distributions.Categorical(logits=log_bn) for log_bn in logs]
        entropy_b = sum(policy.entropy() for policy in policies).tolist()
        log_b = sum(policy.log_prob(words_bs[:, word]) for word, policy in enumerate(policies))
        loss = torch.zeros(())
        for score, entropy, log in zip(scores, entropy_b, log_b, strict=True):
            reward = score / 100 + 0.5 * entropy
            baseline = reward if baseline is None else 0.99 * baseline + 0.01 * reward
            loss = loss - log * (reward - baseline) / samples
        adam.zero_grad()
        loss.backward()
        if not ours:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), 5.0)
        adam.step()
        assert searcher.baseline == pytest.approx(baseline, abs=1e-5)
        for mine, other in zip(searcher.controller.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(mine, other, atol=2e-6, rtol=1e-4)


def test_the_result_is_the_best_of_the_last_trials():
    searcher = create_searcher("enas", NASBENCH201, 0, {"last": 4, "samples": 2})
    cells = [searcher.ask(0)]
    for number, value in enumerate((99.0, 98.0, 10.0, 30.0, 20.0, 40.0)):
        cells.append(searcher.ask(number))
        searcher.tell(Trial(number, cells[-1], Score(value)))
    assert searcher.found()[0] == cells[-1]
    assert cells[0] not in searcher.found()
