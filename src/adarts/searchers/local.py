"""Local search: from a random cell, step by step to better neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adarts.config.settings import Settings
from adarts.searchers.base import BestOfAll, SearcherInfo, Trial
from adarts.searchers.registry import register
from adarts.seeding import derive_seed, dice
from adarts.spaces import Genotype, Space, neighbors, random_genotype


class LocalOptions(Settings):
    """The steps."""

    first: bool = False
    """Step to the first neighbor that is better, instead of the best one of all."""


@register
class LocalSearch(BestOfAll):
    """Scores all neighbors of a cell in random order and steps to the best one; where none is better, it starts anew.

    As published: the steps and both variants. Neighbors differ in the operation of one edge, and in spaces of the DARTS kind also
    in one source. A cell that was told is not proposed as a neighbor again.
    """

    info = SearcherInfo(
        name="local",
        title="Local search",
        year=2021,
        paper="White, Nolen, Savani: Exploring the Loss Landscape in NAS, UAI 2021",
        changes="steps to the best neighbor until none is better, then starts anew",
    )
    Options = LocalOptions
    options: LocalOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        self._stand_at(None, 0)

    def block(self, number: int) -> int:
        """The neighbors that are left, if all of them are scored before the next step."""
        return 1 if self.options.first or not self.around else self.since + len(self.around) - number

    def ask(self, number: int) -> Genotype:
        if not self.around:
            return random_genotype(self.space, derive_seed(self.seed, "proposal", number))
        return self.around[(number - self.since) % len(self.around)]

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        done = len(self.trials)
        if self.center is None or (self.options.first and trial.score.value > self.center.score.value):
            self._stand_at(trial, done)
        elif done == self.since + len(self.around):
            best = max(self.trials[self.since :], key=lambda trial: trial.score.value)
            self._stand_at(best if best.score.value > self.center.score.value else None, done)

    def state_dict(self) -> dict[str, Any]:
        center = None if self.center is None else self.center.to_dict()
        return {**super().state_dict(), "center": center, "since": self.since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._stand_at(None if state["center"] is None else Trial.from_dict(state["center"]), state["since"])

    def _stand_at(self, center: Trial | None, since: int) -> None:
        """Stand at a cell, or nowhere; its neighbors are asked from this number on."""
        self.since, self.around = since, list[Genotype]()
        if center is not None:
            told = {trial.genotype for trial in self.trials[:since]}
            self.around = [cell for cell in neighbors(center.genotype, self.space) if cell not in told]
            dice(self.seed, "neighbors", center.number).shuffle(self.around)
        self.center = center if self.around else None
