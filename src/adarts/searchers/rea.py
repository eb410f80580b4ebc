"""Aging evolution, the search of AmoebaNet."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from adarts.config.settings import Settings
from adarts.searchers.base import BestOfAll, SearcherInfo
from adarts.searchers.registry import register
from adarts.seeding import derive_seed, dice
from adarts.spaces import Genotype, mutate, random_genotype


class AgingOptions(Settings):
    """The evolution. NATS-Bench has the defaults, AmoebaNet 100 and 25, NASBench-101 50 and 10 without replacement."""

    population: PositiveInt = 10
    """Cells alive; each further one replaces the oldest."""
    sample: PositiveInt = 3
    """Cells drawn from the population; the best of them is the parent."""
    replacement: bool = True
    """Whether a cell may be drawn more than once."""
    identity: float = Field(default=0.0, ge=0, le=1)
    """Probability that the child equals its parent; AmoebaNet has 0.05."""


@register
class AgingEvolution(BestOfAll):
    """The child of a tournament's winner replaces the oldest cell, however good that is.

    As published: the loop, the tournament, and the result, which is the best of all cells that were ever told. In NAS-Bench-201
    the mutation is that of NATS-Bench. In spaces of the DARTS kind it draws a kind of cell, a node and one of its edges, then
    changes the operation or the source, half each, as in AmoebaNet. Lost there: nodes that read a source twice, and loose ends.
    """

    info = SearcherInfo(
        name="rea",
        title="Aging evolution",
        year=2019,
        paper="Real et al., AAAI 2019 (AmoebaNet); values of Dong et al., NATS-Bench, TPAMI 2021",
        changes="mutates the best of a sample of the newest cells",
    )
    Options = AgingOptions
    options: AgingOptions

    def block(self, number: int) -> int | None:
        """The first population."""
        return max(0, self.options.population - number) or None

    def ask(self, number: int) -> Genotype:
        options = self.options
        if len(self.trials) < options.population:
            return random_genotype(self.space, derive_seed(self.seed, "proposal", number))
        random, alive = dice(self.seed, "proposal", number), self.trials[-options.population :]
        drawn = (
            random.choices(alive, k=options.sample)
            if options.replacement
            else random.sample(alive, k=min(options.sample, len(alive)))
        )
        parent = max(drawn, key=lambda trial: trial.score.value).genotype
        return parent if random.random() < options.identity else mutate(parent, self.space, random)
