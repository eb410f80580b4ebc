"""TPE, the sampler of Optuna, as a baseline from outside of architecture search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import NonNegativeInt

from adarts.config.settings import Settings
from adarts.errors import ConfigError
from adarts.searchers.base import BestOfAll, SearcherInfo, Trial
from adarts.searchers.registry import register
from adarts.seeding import derive_seed
from adarts.spaces import Genotype, Space
from adarts.spaces.decisions import Decisions


class TpeOptions(Settings):
    """The sampler."""

    first: NonNegativeInt = 10
    """Random cells before the sampler learns; Optuna's default."""


@register
class Tpe(BestOfAll):
    """Draws decisions by the ratio of their densities among good and other trials.

    The decisions are the operations of the edges and, in spaces of the DARTS kind, the set of sources of every node. In spaces
    that keep every edge, all decisions are drawn together (multivariate), which is Optuna's default. Elsewhere a cell takes only
    some of the decisions, so each is drawn on its own, as in the paper.
    Optuna, which this searcher needs, is asked and told. Each proposal has a new sampler with a seed of its own, which reads the
    whole history, so the time of a proposal grows with it.
    """

    info = SearcherInfo(
        name="tpe",
        title="TPE (Optuna)",
        year=2011,
        paper="Bergstra et al., NeurIPS 2011; Akiba et al.: Optuna, KDD 2019",
        changes="draws decisions that are frequent among good trials and rare among others",
    )
    Options = TpeOptions
    options: TpeOptions

    def __init__(self, space: Space, seed: int, options: Settings | None = None) -> None:
        super().__init__(space, seed, options)
        try:
            import optuna
        except ImportError:
            raise ConfigError("searcher 'tpe' needs optuna: pip install 'adarts[sweeps]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study
        self.decisions = Decisions(space)
        self.choices = [optuna.distributions.CategoricalDistribution(range(size)) for size in self.decisions.sizes]
        self.study = optuna.create_study(direction="maximize")

    def block(self, number: int) -> int | None:
        """The random proposals at the start."""
        return max(0, self.options.first - number) or None

    def ask(self, number: int) -> Genotype:
        import optuna

        self.study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=self.options.first,
            multivariate=self.space.kept_edges is None,
            constant_liar=False,
            seed=derive_seed(self.seed, "proposal", number) % 2**32,
        )
        trial, names = self.study.ask(), self.decisions.names

        def decide(decision: int) -> int:
            return int(trial.suggest_categorical(names[decision], self.choices[decision].choices))  # type: ignore[arg-type]

        genotype = self.decisions.build(decide)
        self.study.tell(trial, state=optuna.trial.TrialState.FAIL)  # the sampler does not read what is only asked
        return genotype

    def tell(self, trial: Trial) -> None:
        import optuna

        super().tell(trial)
        taken = self.decisions.taken(trial.genotype)
        names = {decision: self.decisions.names[decision] for decision in taken}
        self.study.add_trial(
            optuna.trial.create_trial(
                value=trial.score.value,
                params={names[decision]: option for decision, option in taken.items()},
                distributions={names[decision]: self.choices[decision] for decision in taken},
            )
        )

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        import optuna

        self.trials, self.study = [], optuna.create_study(direction="maximize")
        for trial in state["trials"]:
            self.tell(Trial.from_dict(trial))
