"""CARS: a population along the front of accuracy and size, selected by pNSGA-III."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from random import Random
from typing import Any

from pydantic import Field, PositiveInt

from adarts.config.settings import Settings
from adarts.searchers.base import Searcher, SearcherInfo, Trial
from adarts.searchers.registry import register
from adarts.seeding import dice
from adarts.spaces import Genotype, Space, exchange, random_genotype


class CarsOptions(Settings):
    """The generations. The defaults are those of the public code."""

    population: PositiveInt = 128
    """Cells of a generation; it has as many children."""
    mutation: float = Field(default=0.25, ge=0, le=1)
    """Share of the children that mix a member of the population with a random cell."""
    crossover: float = Field(default=0.25, ge=0, le=1)
    """Share of the children that mix two members. The remaining children are random cells."""
    exchange: float = Field(default=0.5, ge=0, le=1)
    """Probability with which a node comes from the second one of two cells that are mixed."""
    anew: bool = True
    """Score the population again in every generation, as shared weights need it. A score that stays need not be asked again."""


@register
class Cars(Searcher):
    """Each generation scores its population and as many children, and keeps half of all by accuracy and size.

    As published in the public code (huawei-noah/vega): children, selection, and new scores for parents in every generation.
    pNSGA-III is another algorithm than NSGA-III and has no reference points; see :func:`select`.
    The result is the whole front. The public code divides it into four bins of size and returns the best cell of each.
    In spaces of the DARTS kind, the public code may also draw `none`, which is lost here. In spaces with one kind of cell, the
    exchange is the same.
    """

    info = SearcherInfo(
        name="cars",
        title="CARS",
        year=2020,
        paper="Yang et al., CVPR 2020",
        changes="breeds generations and keeps the fronts of accurate small and of accurate large cells",
    )
    Options = CarsOptions
    options: CarsOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        random = dice(seed, "population")
        #: the present parents, without duplicates
        self.population = distinct(lambda: self._drawn(random), self.options.population, set())
        self._begin(0, {})

    def block(self, number: int) -> int:
        return len(self.queue) - len(self.told)

    def ask(self, number: int) -> Genotype:
        return self.queue[(number - self.since) % len(self.queue)]

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)
        if len(self.told) == len(self.queue):
            latest = self._latest()
            kept = select(latest, len(self.population), dice(self.seed, "selection", self.since))
            self.population = [trial.genotype for trial in kept]
            self._begin(trial.number + 1, {trial.genotype: trial for trial in kept})

    def found(self) -> list[Genotype]:
        """The front of accuracy and size with the latest scores, smallest cells first; one of those with equal scores."""
        trials = self._latest()
        first = fronts([(trial.score.value, -trial.score.size) for trial in trials])[:1]
        points = {
            (trials[index].score.size, trials[index].score.value): trials[index] for front in first for index in front
        }
        return [points[point].genotype for point in sorted(points)]

    def state_dict(self) -> dict[str, Any]:
        return {
            "population": [genotype.to_dict() for genotype in self.population],
            "kept": [trial.to_dict() for trial in self.kept.values()],
            "told": [trial.to_dict() for trial in self.told],
            "since": self.since,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.population = [Genotype.from_dict(genotype) for genotype in state["population"]]
        self._begin(state["since"], {trial.genotype: trial for trial in map(Trial.from_dict, state["kept"])})
        self.told += map(Trial.from_dict, state["told"])

    def _begin(self, since: int, kept: dict[Genotype, Trial]) -> None:
        """Begin the generation whose first proposal has this number; the scores of its parents are known after the first."""
        self.since, self.kept = since, kept
        self.told: list[Trial] = []
        parents = [cell for cell in self.population if self.options.anew or cell not in kept]
        #: what is asked in this generation
        self.queue = [*parents, *self._children(dice(self.seed, "children", since))] or self.population

    def _latest(self) -> list[Trial]:
        """The latest trial of every cell of this generation."""
        return list({**self.kept, **{trial.genotype: trial for trial in self.told}}.values())

    def _children(self, random: Random) -> list[Genotype]:
        options, parents = self.options, self.population

        def child() -> Genotype:
            draw = random.random()
            if draw < options.mutation:
                return exchange(random.choice(parents), self._drawn(random), options.exchange, random)[0]
            if draw < options.mutation + options.crossover and len(parents) > 1:
                first, second = random.sample(parents, 2)
                return exchange(first, second, options.exchange, random)[0]
            return self._drawn(random)

        return distinct(child, options.population, set(parents))

    def _drawn(self, random: Random) -> Genotype:
        return random_genotype(self.space, random.getrandbits(62))


def distinct(draw: Callable[[], Genotype], count: int, known: set[Genotype]) -> list[Genotype]:
    """Draw different cells that are not known, up to this number; fewer if 100 draws in a row give no new one."""
    found: dict[Genotype, None] = {}
    for _ in range(count):
        new = next((cell for cell in (draw() for _ in range(100)) if cell not in known and cell not in found), None)
        if new is None:
            break
        found[new] = None
    return list(found)


def select(trials: Sequence[Trial], count: int, random: Random) -> list[Trial]:
    """The pNSGA-III of CARS's public code: trials are selected stage by stage until there are enough.

    Stage s are the trials in the front number s of high score and small size, or in that of high score and large size. So large
    cells, which learn more slowly, are not crowded out by small ones. If the last stage has too many, its trials are drawn.

    Args:
        trials: the scored cells.
        count: how many to select, at most as many as there are.
        random: source of the draw.
    """
    small = fronts([(trial.score.value, -trial.score.size) for trial in trials])
    large = fronts([(trial.score.value, trial.score.size) for trial in trials])
    selected: list[int] = []
    for one, other in zip_longest(small, large, fillvalue=list[int]()):
        stage = sorted({*one, *other}.difference(selected))
        room = count - len(selected)
        selected += stage if len(stage) <= room else random.sample(stage, room)
    return [trials[index] for index in selected]


def fronts(points: Sequence[tuple[float, float]]) -> list[list[int]]:
    """The indices of the points front by front; in a front, no point is at least as good in both values and not equal."""
    rest, found = list(range(len(points))), []
    while rest:
        front = [
            index
            for index in rest
            if not any(points[other] != points[index] and _at_least(points[other], points[index]) for other in rest)
        ]
        found.append(front)
        rest = [index for index in rest if index not in set(front)]
    return found


def _at_least(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1]
