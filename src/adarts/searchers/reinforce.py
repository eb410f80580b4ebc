"""REINFORCE with an independent softmax for every decision, as in the study of NATS-Bench.

Shape suffixes: d decisions, o options of a decision.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from adarts.config.settings import Settings
from adarts.searchers.base import BestOfAll, SearcherInfo, Trial
from adarts.searchers.registry import register
from adarts.seeding import dice
from adarts.spaces import Genotype, Space
from adarts.spaces.decisions import Decisions

Floats = NDArray[np.float64]


class ReinforceOptions(Settings):
    """The policy's learning. The defaults are those of NATS-Bench."""

    learning_rate: PositiveFloat = 0.01
    """Learning rate of Adam."""
    decay: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the moving average that is subtracted from the reward."""


@register
class Reinforce(BestOfAll):
    """Draws every decision from its own softmax, and raises the probability of those with a better score than usual.

    As published: Adam with 0.01 after every proposal; the baseline is an exponential moving average of the rewards (0.9, without
    the bias towards its start) that already contains the proposal's own; the reward is the score in percent; the result is the
    best of all cells that were ever told. The logits start at 0; the benchmark's code draws them from N(0, 0.001^2).
    NATS-Bench has NAS-Bench-201 only, with one decision for each edge. In spaces of the DARTS kind, each node also decides on the
    set of its sources.
    """

    info = SearcherInfo(
        name="reinforce",
        title="REINFORCE",
        year=1992,
        paper="Williams, Machine Learning 1992; values of Dong et al., NATS-Bench, TPAMI 2021",
        changes="draws from independent softmaxes, which learn from the score of every proposal",
    )
    Options = ReinforceOptions
    options: ReinforceOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        self.decisions = Decisions(space)
        exists_do = np.arange(max(self.decisions.sizes)) < np.array(self.decisions.sizes)[:, None]
        self.logits_do: Floats = np.where(exists_do, 0.0, -np.inf)
        self.mean_do, self.square_do = np.zeros(exists_do.shape), np.zeros(exists_do.shape)  # of Adam
        self.average = 0.0

    def ask(self, number: int) -> Genotype:
        random = dice(self.seed, "proposal", number)
        sums_do, sizes = softmax(self.logits_do).cumsum(1).tolist(), self.decisions.sizes
        return self.decisions.build(lambda d: bisect(sums_do[d], random.random(), hi=sizes[d] - 1))

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        updates, reward, decay = len(self.trials), trial.score.value, self.options.decay
        self.average = decay * self.average + (1 - decay) * reward
        baseline = self.average / (1 - decay**updates)
        gradient_do = -(reward - baseline) * self.log_gradient(trial.genotype)
        self.mean_do = 0.9 * self.mean_do + 0.1 * gradient_do
        self.square_do = 0.999 * self.square_do + 0.001 * gradient_do**2
        root_do = np.sqrt(self.square_do / (1 - 0.999**updates)) + 1e-8
        self.logits_do = self.logits_do - self.options.learning_rate / (1 - 0.9**updates) * self.mean_do / root_do

    def log_gradient(self, genotype: Genotype) -> Floats:
        """The gradient of the log-probability of these cells with respect to the logits: for each decision, one-hot - p."""
        taken = self.decisions.taken(genotype)
        rows, columns = list(taken), list(taken.values())
        gradient_do = np.zeros(self.logits_do.shape)
        gradient_do[rows] = -softmax(self.logits_do[rows])
        gradient_do[rows, columns] += 1
        return gradient_do

    def state_dict(self) -> dict[str, Any]:
        own = {name: torch.tensor(getattr(self, name)) for name in ("logits_do", "mean_do", "square_do")}
        return {**super().state_dict(), **own, "average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        for name in ("logits_do", "mean_do", "square_do"):
            setattr(self, name, state[name].numpy().copy())
        self.average = state["average"]


def softmax(logits_do: Floats) -> Floats:
    """Row by row; the last columns of short rows are -inf."""
    powers_do: Floats = np.exp(logits_do - logits_do.max(1, keepdims=True))
    powers_do /= powers_do.sum(1, keepdims=True)
    return powers_do
