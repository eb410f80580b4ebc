"""The largest eigenvalue from gradients, against the eigenvalues of exact Hessians."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.func import grad

from adarts import kernels
from adarts.errors import NotFiniteError
from adarts.methods.curvature import largest_eigenvalue
from adarts.supernet import ArchWeights
from tiny import tiny_search


def test_an_eigenvalue_that_is_not_the_largest_in_size() -> None:
    """A quadratic form, whose most negative eigenvalue is twice as large."""
    torch.manual_seed(0)
    directions = torch.linalg.qr(torch.randn(60, 60, dtype=torch.float64)).Q
    eigenvalues = torch.linspace(-2.0, 1.0, 60, dtype=torch.float64)
    matrix = directions @ eigenvalues.diag() @ directions.T
    found = largest_eigenvalue(lambda x_n: matrix @ x_n, torch.randn(60, dtype=torch.float64), step=0.1)
    assert found.value == pytest.approx(1.0, rel=0.01) and found.value <= 1 + 1e-9
    assert found.residual <= 0.01 and found.gradients < 80
    full = largest_eigenvalue(
        lambda x_n: matrix @ x_n, torch.zeros(60, dtype=torch.float64), step=0.1, tolerance=0, most=60
    )
    assert full.value == pytest.approx(1.0, abs=1e-12)


def test_the_error_of_the_difference_shrinks_with_the_square_of_the_step() -> None:
    torch.manual_seed(0)
    weights = torch.randn(30, 12, dtype=torch.float64)

    def function(x_n: Tensor) -> Tensor:
        return (torch.logsumexp(weights @ x_n, 0) + torch.sin(x_n).prod()).square()

    point_n = 0.3 * torch.randn(12, dtype=torch.float64)
    exact = float(torch.linalg.eigvalsh(hessian(function, point_n))[-1])
    errors = [
        abs(largest_eigenvalue(grad(function), point_n, step=step, tolerance=1e-10).value - exact) / exact
        for step in (1e-1, 1e-2)
    ]
    assert errors[0] < 0.02
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.3)


def test_no_curvature_and_gradients_that_are_not_finite() -> None:
    assert largest_eigenvalue(torch.zeros_like, torch.ones(5), step=0.1).value == 0.0
    with pytest.raises(NotFiniteError, match="a gradient is not finite"):
        largest_eigenvalue(lambda x_n: x_n / 0.0, torch.ones(5), step=0.1)


@pytest.mark.full
def test_a_supernet_between_the_bends_of_its_relus() -> None:
    with kernels.using("torch"):
        task = tiny_search(
            supernet={"channels": 4, "cells": 3},
            edge={"k": 2},
            images={"per_class": 2, "size": 8},
            search={"epochs": 2, "batch_size": 4, "warmup_epochs": 1},
        )
        net = task.supernet.double()
        for kind, active_eo in net.active.items():
            active_eo[:, 5:] = False
            net.set_active(kind, active_eo.tolist())
        task.go_to(1, 0)
        x_bchw, y_b = task.batch("alphas")
        x_bchw = x_bchw.double()
        alphas = [p.requires_grad_() for p in net.alpha_parameters()]
        for weight in net.weight_parameters():
            weight.requires_grad_(False)
        task.loss(x_bchw, y_b, ArchWeights(net.operation_weights()))
        selection = net.selection

        def gradient(at_n: Tensor | None = None, create_graph: bool = False) -> Tensor:
            if at_n is not None:
                with torch.no_grad():
                    for parameter, values in zip(alphas, at_n.split([p.numel() for p in alphas]), strict=True):
                        parameter.copy_(values.view_as(parameter))
            loss, _ = task.loss(x_bchw, y_b, ArchWeights(net.operation_weights()), selection=selection)
            return torch.cat([g.flatten() for g in torch.autograd.grad(loss, alphas, create_graph=create_graph)])

        point_n = torch.cat([p.detach().flatten() for p in alphas])
        once = gradient(create_graph=True)
        active = torch.cat([active_eo.flatten() for active_eo in net.active.values()]).nonzero().flatten().tolist()
        rows = [torch.autograd.grad(once[index], alphas, retain_graph=True) for index in active]
        exact = torch.stack([torch.cat([g.flatten() for g in row])[active] for row in rows])
        found = largest_eigenvalue(gradient, point_n, step=1e-6, tolerance=1e-3)
    assert found.value == pytest.approx(float(torch.linalg.eigvalsh(exact)[-1]), rel=2e-3)
    assert found.value > 1e-4
