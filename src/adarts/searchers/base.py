"""The base class of searchers: they propose cells and learn from scores. They know neither images nor networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from adarts.config.settings import Settings
from adarts.spaces import Genotype, Space


@dataclass(frozen=True)
class Score:
    """What an evaluator says of a cell.

    Attributes:
        value: the larger, the better; an accuracy in percent, unless the evaluator says otherwise.
        cost: seconds that the evaluation took, measured or simulated.
        size: parameters of the cell's network; 0 if the evaluator does not count them.
    """

    value: float
    cost: float = 0.0
    size: int = 0


@dataclass(frozen=True)
class Trial:
    """A proposal and its score.

    Attributes:
        number: number of the proposal, from 0.
        genotype: the cells.
        score: their score.
    """

    number: int
    genotype: Genotype
    score: Score

    def to_dict(self) -> dict[str, Any]:
        """Plain data for checkpoints and files."""
        return {"number": self.number, "genotype": self.genotype.to_dict(), "score": asdict(self.score)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Trial:
        """Read the form of :meth:`to_dict`.

        Raises:
            DataError: the genotype is not valid.
        """
        return cls(document["number"], Genotype.from_dict(document["genotype"]), Score(**document["score"]))


class Evaluate(Protocol):
    """An evaluator: cells and the number of the proposal -> score. The number seeds its noise or chooses its batches."""

    def __call__(self, genotype: Genotype, number: int) -> Score:
        """Score the cells."""


@dataclass(frozen=True)
class SearcherInfo:
    """Facts about a searcher.

    Attributes:
        name: name on the command line.
        title: usual name.
        year: year of publication.
        paper: publication.
        changes: how it proposes, in one line.
    """

    name: str
    title: str
    year: int
    paper: str
    changes: str


class NoOptions(Settings):
    """A searcher without options of its own."""


class Searcher(ABC):
    """Proposes cells one after the other and learns from their scores.

    The loop is::

        for number in range(budget):
            genotype = searcher.ask(number)
            searcher.tell(Trial(number, genotype, evaluate(genotype, number)))
        cells = searcher.found()

    A proposal is a function of the state, the seed and the number: asking twice gives the same cells and changes nothing.
    Scores are told in the order of their numbers. So a searcher with a loaded state goes on exactly as the saved one.
    Several proposals may be asked before the first of them is told, as many as :meth:`block` says.

    Args:
        space: the search space.
        seed: seed of all random numbers.
        options: an object of :attr:`Options`; None uses the defaults.
    """

    info: ClassVar[SearcherInfo]
    #: the searcher's own settings; a subclass of ``Settings``
    Options: ClassVar[type[Settings]] = NoOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        self.space, self.seed = space, seed
        self.options = self.Options() if options is None else options

    @classmethod
    def supports(cls, space: Space) -> str | None:
        """The reason why the searcher does not work in a search space, or None."""
        return None

    @abstractmethod
    def ask(self, number: int) -> Genotype:
        """The proposal with this number."""

    def block(self, number: int) -> int | None:
        """How many proposals, from this number on, do not depend on each other's scores, such as the rest of a generation.

        They can be asked together, with the same result as one after the other. None, for one proposal, lets the caller ask any
        number together, although the later ones then know less. All proposals before this number have been told.
        """
        return None

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Learn the score of the next proposal in the order of their numbers."""

    @abstractmethod
    def found(self) -> list[Genotype]:
        """The result, best cells first; for several goals the front, smallest cells first. Empty before the first trial."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The complete state; only tensors, numbers, strings and plain containers."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state of :meth:`state_dict`."""


class BestOfAll(Searcher):
    """A searcher that returns the trial with the highest score, the first one among equals, and whose state are its trials."""

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        #: all trials, in order
        self.trials: list[Trial] = []

    def tell(self, trial: Trial) -> None:
        self.trials.append(trial)

    def found(self) -> list[Genotype]:
        """All distinct cells, highest score first."""
        by_score = sorted(self.trials, key=lambda trial: -trial.score.value)
        return list(dict.fromkeys(trial.genotype for trial in by_score))

    def state_dict(self) -> dict[str, Any]:
        return {"trials": [trial.to_dict() for trial in self.trials]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.trials = [Trial.from_dict(trial) for trial in state["trials"]]
