"""Random search: the baseline of every other searcher."""

from __future__ import annotations

import sys

from adarts.searchers.base import BestOfAll, SearcherInfo
from adarts.searchers.registry import register
from adarts.seeding import derive_seed
from adarts.spaces import Genotype, random_genotype


@register
class RandomSearch(BestOfAll):
    """Every proposal is drawn independently of all others."""

    info = SearcherInfo(
        name="random",
        title="Random search",
        year=2012,
        paper="Bergstra and Bengio, JMLR 2012",
        changes="draws every proposal anew",
    )

    def block(self, number: int) -> int:
        return sys.maxsize

    def ask(self, number: int) -> Genotype:
        return random_genotype(self.space, derive_seed(self.seed, "proposal", number))
