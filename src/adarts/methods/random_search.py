"""Random search: cells are drawn independently, and each is trained alone."""

from __future__ import annotations

from dataclasses import replace

from pydantic import NonNegativeInt

from adarts.config.settings import SearchConfig
from adarts.methods.base import MethodInfo, Search
from adarts.methods.protocols import CHILDREN, NASBENCH201_CHILDREN
from adarts.methods.registry import register
from adarts.methods.schedule import Phase
from adarts.methods.scored import Alone, known_cells
from adarts.searchers.random_search import RandomSearch
from adarts.spaces import Genotype, Space


@register
class RandomCells(Alone):
    """Random cells are trained alone, and the most accurate one is kept: the baseline of every other search.

    In NAS-Bench-201, a cell is trained as in the searches of the benchmark, for 12 epochs. There, a budget of 20,000 seconds pays
    for about 175 cells; here, the number of cells is an option. In the space of DARTS, a cell is trained for 25 epochs, as in the
    benchmark's public code for evolution. A cell learns on one half of the training images and is scored on the other.

    A search can be divided: with one seed, the cells from `options.start` on are the same and are trained in the same way,
    whichever search does it. `adarts explore --evaluator training` trains each proposal of any searcher by such a search of one
    cell, `options.known`.
    """

    info = MethodInfo(
        name="random",
        title="Random search",
        year=2012,
        paper="Bergstra, Bengio: Random Search for Hyper-Parameter Optimization, JMLR 2012",
        changes="random cells, each trained alone; the most accurate one is kept",
        cost="a training for every cell",
        defaults=CHILDREN,
        spaces={"nasbench201": NASBENCH201_CHILDREN},
        family="alone",
        replay="run",
    )
    searcher_class = RandomSearch

    class Options(Alone.Options):
        start: NonNegativeInt = 0
        """Number of the first cell; those before it are left to another search with the same seed."""
        known: str | None = None
        """A cell, as text or JSON, that takes the place of the first one."""

    options: Options

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        return tuple(replace(phase, skipped=self.options.start) for phase in super().phases(config, space))

    def number(self, search: Search) -> int:
        return self.options.start + search.progress.phase

    def proposal(self, search: Search) -> Genotype:
        known = self.options.known if search.progress.phase == 0 else None
        return super().proposal(search) if known is None else known_cells(known, search.supernet.space)
