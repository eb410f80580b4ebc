"""DARTS-: how the auxiliary skip connection fades, and that no cell inherits it."""

import pytest
import torch

from adarts.config.settings import SearchConfig
from adarts.errors import ConfigError
from adarts.methods import Progress, create, published
from adarts.methods.darts_minus import DartsMinus
from tiny import tiny_search


@pytest.mark.parametrize(("decay", "middle"), [("linear", 0.75), ("cosine", (1 + 0.5**0.5) / 2)])
def test_beta_falls_from_1_and_reaches_0_after_the_last_epoch(decay: str, middle: float) -> None:
    method = DartsMinus(DartsMinus.Options.model_validate({"decay": decay}))
    beta = [method.auxiliary(Progress(0, epoch, 8, 1)) for epoch in (0, 2, 8)]
    assert beta == pytest.approx([1, middle, 0])
    assert DartsMinus(DartsMinus.Options()).auxiliary(Progress(0, 49, 50, 1)) == pytest.approx(1 / 50)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_beta_runs_between_the_weights_that_are_asked_for(decay: str) -> None:
    options = {"decay": decay, "initial_weight": 0.8, "final_weight": 0.3}
    falling = DartsMinus(DartsMinus.Options.model_validate(options))
    assert [falling.auxiliary(Progress(0, epoch, 8, 1)) for epoch in (0, 4, 8)] == pytest.approx([0.8, 0.55, 0.3])
    constant = DartsMinus(DartsMinus.Options.model_validate({**options, "final_weight": 0.8}))
    assert {constant.auxiliary(Progress(0, epoch, 8, 1)) for epoch in range(8)} == {0.8}


def test_an_edge_is_the_mixture_plus_beta_times_the_skip_connection() -> None:
    task = tiny_search("darts-minus", search={"warmup_epochs": 0})
    task.supernet.train()
    x_bchw, y_b = task.batch("weights")
    losses = []
    for epoch in (0, 2):
        task.go_to(epoch, 0)
        arch_weights = task.method.arch_weights(task, "weights", x_bchw, y_b)
        assert arch_weights.auxiliary == 1 - epoch / 4
        losses.append(task.loss(x_bchw, y_b, arch_weights)[0].item())
    assert losses[0] != losses[1]
    assert task.method.expected_arch_weights(task).auxiliary == 0.5  # the supernet is validated as it is trained


def test_the_halving_skip_connection_learns_and_the_alphas_do_not_know_it() -> None:
    task = tiny_search("darts-minus")
    before = {name: p.detach().clone() for name, p in task.supernet.named_parameters() if "auxiliary" in name}
    assert before and all(alpha_eo.shape == (14, 8) for alpha_eo in task.supernet.alpha_parameters())
    task.step(1, 0)
    after = dict(task.supernet.named_parameters())
    assert all(not torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(("method", "skip"), [("darts-minus", False), ("darts", True)])
def test_a_skip_connection_that_is_missing_or_has_no_weight_is_refused(method: str, skip: bool) -> None:
    edge = {**published(method, "darts")["edge"], "auxiliary_skip": skip}
    with pytest.raises(ConfigError, match=f"edge.auxiliary_skip is {skip}, but method '{method}'"):
        create(SearchConfig.model_validate({"method": method, "edge": edge}))
