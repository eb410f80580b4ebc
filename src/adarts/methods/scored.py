"""The bases of methods that score single cells: trained alone, or with the shared weights of the supernet.

A searcher (:mod:`adarts.searchers`) proposes the cells and learns from their scores. There are no alphas.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from adarts.config.settings import SearchConfig, Settings, SupernetSettings
from adarts.errors import ConfigError, DataError
from adarts.methods.base import Method, Purpose, Search
from adarts.methods.schedule import Phase, Progress
from adarts.models.cost import network_sizes
from adarts.searchers import Score, Searcher, Trial
from adarts.spaces import Genotype, Space, random_genotype
from adarts.supernet import ArchWeights, Supernet, only, without_bypass


class Accuracy:
    """An evaluator: the accuracy of cells in percent with the present weights of the supernet, and the size of their network.

    Batch statistics normalize, because running ones may belong to other cells. The size is that of a network as wide and deep as
    the supernet.

    Args:
        search: the search.
        images: how many images for the alphas to use for each cell, rounded up to whole batches; the number of the proposal
            chooses them. None uses all.
    """

    def __init__(self, search: Search, images: int | None) -> None:
        self.search, self.images = search, images

    def __call__(self, genotype: Genotype, number: int) -> Score:
        """Score the cells (:class:`~adarts.searchers.Evaluate`)."""
        search = self.search
        with torch.no_grad():
            _, accuracy = search.measure(only(search.supernet, genotype), self.images, number)
        return Score(100 * accuracy, size=size_of(genotype, search.config.supernet))


def size_of(genotype: Genotype, settings: SupernetSettings) -> int:
    """The parameters of cells in a network as wide and deep as a supernet."""
    (size,) = network_sizes([genotype], settings.channels, settings.cells).tolist()
    return int(size)


def known_cells(text: str, space: Space) -> Genotype:
    """Read the cells in an option `known`, in any of the forms of :meth:`Genotype.parse`.

    Raises:
        ConfigError: it is no genotype, or not within the space.
    """
    try:
        genotype = Genotype.parse(text)
        genotype.require_within(space)
    except DataError as error:
        raise ConfigError(f"options.known: {error}") from None
    return genotype


class Scored(Method):
    """The base of :class:`Alone` and :class:`SinglePaths`."""

    #: the class of the searcher; if it has options, they are among the options of the method
    searcher_class: ClassVar[type[Searcher]]
    #: the searcher after its last trial
    searcher: Searcher

    class Options(Settings):
        images: PositiveInt = 640
        """Images that measure the accuracy of a cell."""

    options: Options

    @classmethod
    def supports(cls, space: Space) -> str | None:
        return cls.searcher_class.supports(space)

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return ("weights",)

    def on_phase_start(self, search: Search) -> None:
        if search.progress.phase == 0:
            own = self.options.model_dump(include=set(self.searcher_class.Options.model_fields))
            options = self.searcher_class.Options.model_validate(own)
            self.searcher = self.searcher_class(search.supernet.space, search.config.seed, options)

    def state_dict(self) -> dict[str, Any]:
        return {"searcher": self.searcher.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.searcher.load_state_dict(state["searcher"])


class Alone(Scored):
    """The base of methods that train every proposal alone, from new weights.

    A proposal is a phase of the search, of `search.epochs` epochs with a schedule of the learning rate of its own. Its network is
    as wide and deep as the supernet and computes nothing else. It learns on the half of the images for the weights; its score is
    the accuracy on images of the other half after its last epoch.
    """

    class Options(Scored.Options):
        cells: PositiveInt = 200
        """Cells that are trained."""

    options: Options
    #: the proposal in training
    current: Genotype

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        return super().phases(config, space) * self.options.cells

    def number(self, search: Search) -> int:
        """Number of the proposal in training."""
        return search.progress.phase

    def proposal(self, search: Search) -> Genotype:
        """The cells to train next."""
        return self.searcher.ask(self.number(search))

    def on_phase_start(self, search: Search) -> None:
        super().on_phase_start(search)
        self.current = self.proposal(search)
        for kind in search.supernet.space.cell_kinds:
            search.supernet.set_active(kind, self.current.mask(kind))

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        return without_bypass(supernet, supernet.active, super().edge_weights(supernet))

    def on_epoch_end(self, search: Search) -> dict[str, Any] | None:
        """After the last epoch of a proposal, tell its score to the searcher."""
        if not search.progress.is_last:
            return None
        number = self.number(search)
        trial = Trial(number, self.current, Accuracy(search, self.options.images)(self.current, number))
        self.searcher.tell(trial)
        return finished([trial])

    def derive(self, supernet: Supernet) -> Genotype:
        """The best cells that the searcher has found; before its first trial, those in training."""
        return next(iter(self.searcher.found()), self.current)

    def chosen_by(self) -> str:
        return "the accuracies of cells that are trained alone"

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "current": self.current.to_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.current = Genotype.from_dict(state["current"])


class SinglePaths(Scored):
    """The base of methods that train a single path of the supernet in every step, and score cells with these shared weights.

    A round asks the searcher for cells, measures them, and tells it the accuracies. It works on a copy of the searcher, so that
    an interrupted round leaves nothing behind.
    """

    #: the trials of the last round, and the cells that it chose; empty and None before the first round
    trials: Sequence[Trial]
    chosen: Genotype | None
    #: number of proposals so far
    asked: int

    def on_phase_start(self, search: Search) -> None:
        super().on_phase_start(search)
        self.trials, self.chosen, self.asked = [], None, 0

    def path(self, search: Search) -> Genotype:
        """The cells that a step trains; random numbers come from torch's generator, which is seeded for every step."""
        return random_genotype(search.supernet.space, int(torch.randint(2**62, ())))

    def due(self, progress: Progress) -> bool:
        """Whether a round follows this epoch."""
        return progress.is_last

    def num_cells(self) -> int:
        """How many cells the next round measures."""
        raise NotImplementedError

    def choose(self, search: Search, searcher: Searcher, trials: Sequence[Trial]) -> Genotype:
        """The result of a round, which may measure further; the searcher has learned from all trials of the round."""
        return searcher.found()[0]

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        return self._alone(search.supernet, self.path(search))

    def expected_arch_weights(self, search: Search) -> ArchWeights:
        """Those of the chosen cells."""
        return self._alone(search.supernet, self.derive(search.supernet))

    def _alone(self, supernet: Supernet, genotype: Genotype) -> ArchWeights:
        return only(supernet, genotype, edges=self.edge_weights(supernet))

    def on_epoch_end(self, search: Search) -> dict[str, Any] | None:
        """Run a round if one is due."""
        if not self.due(search.progress):
            return None
        searcher, evaluate = copy.deepcopy(self.searcher), Accuracy(search, self.options.images)
        trials = []
        for number in range(self.asked, self.asked + self.num_cells()):
            genotype = searcher.ask(number)
            trials.append(Trial(number, genotype, evaluate(genotype, number)))
            searcher.tell(trials[-1])
        chosen = self.choose(search, searcher, trials)
        self.searcher, self.trials, self.chosen = searcher, trials, chosen
        self.asked += len(trials)
        return finished(trials)

    def derive(self, supernet: Supernet) -> Genotype:
        """The cells that the last round chose; before the first one, the searcher's first proposal."""
        return self.searcher.ask(0) if self.chosen is None else self.chosen

    def chosen_by(self) -> str:
        return "the accuracies of cells with shared weights"

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "chosen": None if self.chosen is None else self.chosen.to_dict(),
            "asked": self.asked,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.trials = [Trial.from_dict(trial) for trial in state["trials"]]
        self.chosen = None if state["chosen"] is None else Genotype.from_dict(state["chosen"])
        self.asked = state["asked"]


def finished(trials: Sequence[Trial]) -> dict[str, Any]:
    """The record of trials in the metrics of an epoch."""
    return {
        "finished": [
            {"cells": t.genotype.to_dict()["cells"], "accuracy": t.score.value, "parameters": t.score.size}
            for t in trials
        ]
    }
