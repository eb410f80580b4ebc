"""TPE: the proposals are Optuna's for the history that was told; without Optuna, one line says what is missing."""

import sys

import optuna
import pytest

from adarts.errors import ConfigError
from adarts.searchers import Trial, create_searcher
from adarts.seeding import derive_seed
from adarts.spaces import NASBENCH201
from adarts.testing import share_of_one_operation


def test_a_proposal_is_that_of_a_new_study_with_the_same_history():
    searcher = create_searcher("tpe", NASBENCH201, 5, {"first": 4})
    names, distribution = searcher.decisions.names, optuna.distributions.CategoricalDistribution(range(5))
    assert names == ("normal 0>1", "normal 0>2", "normal 1>2", "normal 0>3", "normal 1>3", "normal 2>3")
    history = []
    for number in range(12):
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=4,
            multivariate=True,
            constant_liar=False,
            seed=derive_seed(5, "proposal", number) % 2**32,
        )
        study = optuna.create_study(sampler=sampler, direction="maximize")
        study.add_trials(history)
        trial = study.ask(dict.fromkeys(names, distribution))
        cell = searcher.ask(number)
        assert list(trial.params.values()) == list(searcher.decisions.taken(cell).values())
        score = share_of_one_operation(NASBENCH201, cell)
        searcher.tell(Trial(number, cell, score))
        history.append(
            optuna.trial.create_trial(
                params=trial.params, distributions=dict.fromkeys(names, distribution), value=score.value
            )
        )


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"^searcher 'tpe' needs optuna: pip install 'adarts\[sweeps\]'$"):
        create_searcher("tpe", NASBENCH201, 0)
