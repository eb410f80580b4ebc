"""beta-DARTS: the course of lambda, and the gradient of its term."""

import pytest
import torch

from adarts.methods import Progress
from adarts.methods.beta_darts import BetaDarts
from tiny import tiny_search


def test_lambda_grows_by_one_half_an_epoch_in_the_published_hundred_and_in_proportion_in_others() -> None:
    method, alpha_eo = BetaDarts(BetaDarts.Options()), torch.tensor([[1.0]])  # whose log-sum-exp is 1
    active_eo = torch.ones(1, 1, dtype=torch.bool)

    def penalty(epoch: int, epochs: int) -> float:
        return method.penalty(alpha_eo, active_eo, alpha_eo, Progress(0, epoch, epochs, 1)).item()

    assert [penalty(epoch, 100) for epoch in (0, 1, 50, 99)] == pytest.approx([0, 0.5, 25, 49.5])
    assert penalty(2, 4) == 25


def test_the_gradient_is_the_softmax_of_the_active_operations() -> None:
    task = tiny_search("beta-darts", search={"warmup_epochs": 0})
    task.supernet.set_active("normal", [[True, False] * 4] * 14)
    task.go_to(3, 0)  # of 4 epochs
    torch.manual_seed(0)
    for alpha_eo in task.supernet.alpha_parameters():
        torch.nn.init.normal_(alpha_eo)
    arch_weights = task.method.expected_arch_weights(task)
    penalty = task.method.penalty_of(task, arch_weights)
    assert penalty is not None
    gradients = torch.autograd.grad(penalty, task.supernet.alpha_parameters())
    for gradient_eo, weights_eo in zip(gradients, task.supernet.operation_weights().values(), strict=True):
        assert torch.allclose(gradient_eo, 37.5 * weights_eo / 28, atol=1e-6)


def test_the_reported_loss_of_the_alphas_is_that_of_the_images_alone() -> None:
    weightless, weighty = (tiny_search("beta-darts", options={"final_weight": weight}) for weight in (0.0, 1000.0))
    losses = [float(task.step(3, 0)["alphas_loss"]) for task in (weightless, weighty)]
    assert losses[0] == losses[1]
    pairs = zip(weightless.supernet.alpha_parameters(), weighty.supernet.alpha_parameters(), strict=True)
    assert all(not torch.equal(one, other) for one, other in pairs)
