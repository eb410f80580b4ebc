"""Which values a trial gets: those of Optuna's TPE, drawn by the number of the trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from adarts.seeding import derive_seed
from adarts.tuning.parameters import Assignment, Parameter

_STARTUP = 5  # finished trials before the median counts; Optuna's default


class ByNumber(BaseSampler):
    """TPE whose random numbers depend on the seed and the number of the trial alone.

    So a process that continues a study draws what the interrupted one would have drawn. The first trial has the usual values, if
    they are within the ranges. The next ones are random until ten trials have ended (Optuna's default). Other numbers are rounded
    to four significant digits.

    Args:
        parameters: what is tuned.
        usual: the values without tuning; None if one of them is out of range.
        seed: the seed.
    """

    def __init__(self, parameters: Sequence[Parameter], usual: Assignment | None, seed: int) -> None:
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._usual, self._seed = usual, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: parameter.distribution() for name, parameter in self._parameters.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if trial.number == 0 and self._usual is not None:
            return dict(self._usual)
        tpe = TPESampler(seed=derive_seed(self._seed, "trial", trial.number) % 2**32)
        drawn = tpe.sample_relative(study, trial, search_space)
        for name, distribution in search_space.items():
            if name not in drawn:  # too few trials have ended
                drawn[name] = tpe.sample_independent(study, trial, name, distribution)
        return {name: self._parameters[name].fitted(value) for name, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name} is not among the tuned settings")


def pruner_of(name: str, epochs: int, warmup_epochs: int) -> BasePruner:
    """Optuna's pruner by name.

    Args:
        name: none, median or hyperband.
        epochs: most epochs of a trial.
        warmup_epochs: epochs after which the median counts.
    """
    if name == "median":
        return MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=warmup_epochs + 1)
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=epochs)
    return NopPruner()
