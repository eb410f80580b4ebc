"""The evolution of Hierarchical Representations, on flat cells."""

from __future__ import annotations

from math import ceil

from pydantic import Field, PositiveInt

from adarts.config.settings import Settings
from adarts.searchers.base import BestOfAll, SearcherInfo
from adarts.searchers.registry import register
from adarts.seeding import dice
from adarts.spaces import CellGenotype, Genotype, Space, mutate


class HierarchicalOptions(Settings):
    """The evolution."""

    first: PositiveInt = 20
    """Cells of the first population."""
    mutations: PositiveInt = 100
    """Mutations between the cell of identities and each cell of the first population."""
    tournament: float = Field(default=0.05, gt=0, le=1)
    """Share of the population that is drawn, at least one cell; the best of them is the parent. The paper has 0.05."""


@register
class Hierarchical(BestOfAll):
    """The winner of a tournament is mutated and the child joins the population, which only grows.

    As published: the tournament among 5 % of the population, the growing population, and the first cells, which are made of a
    cell of identities by many mutations. This is the paper's flat variant: the level of motifs, small graphs that take the place
    of operations, is left out.
    Scaled: numbers of first cells and mutations, to spaces that are smaller than the paper's. Cells are proposed one by one, not
    by parallel workers. Mapped: in spaces of the DARTS kind a mutation may also change the source of an edge.
    """

    info = SearcherInfo(
        name="hierarchical",
        title="Hierarchical Evolution (flat)",
        year=2018,
        paper="Liu et al.: Hierarchical Representations for Efficient Architecture Search, ICLR 2018",
        changes="mutates the best of a sample of all cells; none dies",
    )
    Options = HierarchicalOptions
    options: HierarchicalOptions

    def block(self, number: int) -> int | None:
        """The first population."""
        return max(0, self.options.first - number) or None

    def ask(self, number: int) -> Genotype:
        options, random = self.options, dice(self.seed, "proposal", number)
        if len(self.trials) < options.first:
            genotype = identities(self.space)
            for _ in range(options.mutations):
                genotype = mutate(genotype, self.space, random)
            return genotype
        drawn = random.sample(self.trials, k=ceil(options.tournament * len(self.trials)))
        return mutate(max(drawn, key=lambda trial: trial.score.value).genotype, self.space, random)


def identities(space: Space) -> Genotype:
    """The cell of skip connections; an edge that may have none has its first operation instead.

    Nodes that do not keep every edge read the first ones before them.
    """

    def pair(kind: str, source: int, target: int) -> tuple[str, int]:
        choices = [name for name in space.choices[kind][source, target] if name != "none"]
        return ("skip_connect" if "skip_connect" in choices else choices[0]), source

    cells = {
        kind: CellGenotype(
            tuple(tuple(pair(kind, s, target) for s in range(space.num_kept(target))) for target in space.targets),
            space.outputs,
        )
        for kind in space.cell_kinds
    }
    return Genotype(cells, space.name)
