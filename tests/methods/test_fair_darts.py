"""FairDARTS: weights that do not compete, the zero-one loss, and what falls below the threshold."""

import pytest
import torch

from adarts.spaces import DARTS
from tiny import tiny_search

SKIP, SEP3 = DARTS.operations.index("skip_connect"), DARTS.operations.index("sep_conv_3x3")


def test_every_weight_begins_at_one_half_and_none_takes_no_part() -> None:
    task = tiny_search("fair-darts")
    for weights_eo in task.method.operation_weights(task.supernet).values():
        assert weights_eo[:, 0].eq(0).all() and weights_eo[:, 1:].eq(0.5).all()


def test_operations_do_not_compete() -> None:
    task = tiny_search("fair-darts")
    with torch.no_grad():
        task.supernet.alphas["normal"][0, SKIP] = 5.0
    row_o = task.method.operation_weights(task.supernet)["normal"][0]
    assert row_o[SKIP] > 0.99 and row_o[[1, 2, 4, 5, 6, 7]].eq(0.5).all()


def test_the_zero_one_loss_and_its_gradient() -> None:
    task = tiny_search("fair-darts")
    torch.manual_seed(0)
    alphas = task.supernet.alpha_parameters()
    for alpha_eo in alphas:
        torch.nn.init.normal_(alpha_eo)
    arch_weights = task.method.expected_arch_weights(task)
    penalty = task.method.penalty_of(task, arch_weights)
    assert penalty is not None
    sigma_eo = torch.cat(alphas).detach()[:, 1:].sigmoid()  # 28 edges, 7 operations
    assert penalty.item() == pytest.approx(-10 * (sigma_eo - 0.5).square().mean().item())
    found = torch.cat(torch.autograd.grad(penalty, alphas))
    expected = -10 * 2 * (sigma_eo - 0.5) * sigma_eo * (1 - sigma_eo) / 196
    assert torch.allclose(found[:, 1:], expected, atol=1e-8) and found[:, 0].eq(0).all()


def test_the_alpha_of_none_never_move() -> None:
    task = tiny_search("fair-darts")
    with torch.no_grad():
        for alpha_eo in task.supernet.alpha_parameters():
            alpha_eo[:, 0] = 1.0  # what weight decay would shrink
    for step in range(2):
        task.step(1, step)
    for alpha_eo in task.supernet.alpha_parameters():
        assert alpha_eo[:, 0].eq(1).all() and alpha_eo[:, 1:].ne(0).all()


def test_a_cell_holds_what_reaches_the_threshold() -> None:
    task = tiny_search("fair-darts")
    with torch.no_grad():
        task.supernet.alphas["normal"][[0, 1, 2, 9], SEP3] = torch.tensor([2.0, 1.7, 3.0, 3.0])  # sigmoid(1.7) = 0.846
    genotype = task.genotype()
    cell = genotype.cells["normal"]
    assert cell.nodes == ((("sep_conv_3x3", 0),), (("sep_conv_3x3", 0),), (), (("sep_conv_3x3", 0),))
    assert cell.concat == (2, 3, 5)
    assert "no edge enters node 4" in genotype.remarks[0] and "left the reduction cell empty" in genotype.remarks[1]
    assert not task.genotype().has_text
