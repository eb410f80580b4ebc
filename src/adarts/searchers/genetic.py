"""Genetic CNN: generations by roulette, crossover of stages, and flips of single bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from adarts.config.settings import Settings
from adarts.searchers.base import BestOfAll, SearcherInfo, Trial
from adarts.searchers.registry import register
from adarts.seeding import derive_seed, dice
from adarts.spaces import Genotype, Space, exchange, mutate_each, random_genotype


class GeneticOptions(Settings):
    """The generations. The defaults are those of the paper on CIFAR-10, where there are 50 generations."""

    population: int = Field(default=20, ge=2, multiple_of=2)
    """Cells of a generation."""
    crossover: float = Field(default=0.2, ge=0, le=1)
    """Probability with which a pair is crossed; the other pairs mutate."""
    exchange: float = Field(default=0.2, ge=0, le=1)
    """Probability with which a crossed pair exchanges a node."""
    mutation: float = Field(default=0.8, ge=0, le=1)
    """Probability with which a cell mutates whose pair is not crossed."""
    change: float = Field(default=0.05, ge=0, le=1)
    """Probability with which an edge of a mutating cell changes."""


@register
class GeneticCnn(BestOfAll):
    """A generation is drawn from the last one with probabilities proportional to score - lowest score, then crossed and mutated.

    As published: the roulette with replacement, crossover of neighboring pairs, mutation of the pairs that are not crossed, and
    all rates. Whatever a generation contains is scored again. The result is the best of all cells that were ever told.
    Mapped: a bit says whether two nodes are connected; here it is the operation of an edge, and in spaces of the DARTS kind also
    its source. A stage, the unit of the crossover, is a node here.
    Lost: the convolution at each node, stages of different sizes, and nodes that are left out when nothing enters them.
    """

    info = SearcherInfo(
        name="genetic",
        title="Genetic CNN",
        year=2017,
        paper="Xie and Yuille, ICCV 2017",
        changes="breeds generations by roulette, exchanges of nodes, and small changes",
    )
    Options = GeneticOptions
    options: GeneticOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        #: the present generation
        self.population = self._first()

    def block(self, number: int) -> int:
        return self.options.population - number % self.options.population

    def ask(self, number: int) -> Genotype:
        return self.population[number % self.options.population]

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        if len(self.trials) % self.options.population == 0:
            self.population = self._next(self.trials[-self.options.population :])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        size = self.options.population
        bred = len(self.trials) // size * size
        self.population = self._next(self.trials[bred - size : bred]) if bred else self._first()

    def _first(self) -> list[Genotype]:
        seeds = (derive_seed(self.seed, "proposal", number) for number in range(self.options.population))
        return [random_genotype(self.space, seed) for seed in seeds]

    def _next(self, parents: Sequence[Trial]) -> list[Genotype]:
        """The generation after these trials."""
        options, random = self.options, dice(self.seed, "generation", parents[0].number)
        lowest = min(trial.score.value for trial in parents)
        weights = [trial.score.value - lowest for trial in parents]
        drawn = random.choices(parents, weights if any(weights) else None, k=len(parents))
        cells: list[Genotype] = []
        for first, second in zip(drawn[::2], drawn[1::2], strict=True):
            pair = first.genotype, second.genotype
            if random.random() < options.crossover:
                cells += exchange(*pair, options.exchange, random)
            else:
                rates = [options.change if random.random() < options.mutation else 0.0 for _ in pair]
                cells += [mutate_each(cell, self.space, rate, random) for cell, rate in zip(pair, rates, strict=True)]
        return cells
