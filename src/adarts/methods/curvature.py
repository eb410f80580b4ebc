"""The largest eigenvalue of a Hessian, computed from gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from adarts.errors import NotFiniteError
from adarts.seeding import generator


class Eigenvalue(NamedTuple):
    """An estimate from below; the Hessian has an eigenvalue within `residual` of it. `gradients` counts evaluations."""

    value: float
    residual: float
    gradients: int


def largest_eigenvalue(
    gradient: Callable[[Tensor], Tensor],
    point_n: Tensor,
    *,
    step: float,
    tolerance: float = 0.01,
    most: int = 40,
) -> Eigenvalue:
    """The algebraically largest eigenvalue of the Hessian of a function, by the Lanczos method.

    Products with the Hessian H are central differences of gradients g, so no second derivative is computed::

        H v  =  (g(x + step v) - g(x - step v)) / (2 step),   |v| = 1

    Each product adds a direction v to a basis in which H is tridiagonal. The largest eigenvalue of this matrix approaches the
    eigenvalue of H from below. The iteration ends when the residual is below ``tolerance`` times the value. For a smooth
    function, the error of the differences shrinks with the square of the step, until rounding dominates. In a ReLU network, the
    gradients also jump at kinks between the two points. This noise raises the eigenvalue and grows with 1/sqrt(step).

    Args:
        gradient: gradient of the function at a point (n,).
        point_n: the point.
        step: distance between the point and each end of a difference.
        tolerance: largest residual, relative to the value.
        most: largest number of products; never more than n.
    """
    start_n = torch.randn(len(point_n), generator=generator(0, "Lanczos"), dtype=torch.float64)
    basis_kn = (start_n / start_n.norm())[None]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        shift_n = (step * basis_kn[-1]).to(point_n)
        difference_n = gradient(point_n + shift_n).double() - gradient(point_n - shift_n).double()
        image_n = difference_n.cpu() / (2 * step)
        diagonal.append(float(basis_kn[-1] @ image_n))
        for _ in range(2):  # orthogonalize against all earlier directions; twice, to remove rounding errors
            image_n = image_n - basis_kn.T @ (basis_kn @ image_n)
        beside.append(float(image_n.norm()))
        if not math.isfinite(beside[-1]):
            raise NotFiniteError("the curvature cannot be measured: a gradient is not finite")
        main, side = (torch.tensor(values, dtype=torch.float64) for values in (diagonal, beside[:-1]))
        values, vectors = torch.linalg.eigh(main.diag() + side.diag(1) + side.diag(-1))
        value, residual = float(values[-1]), beside[-1] * abs(float(vectors[-1, -1]))
        if residual <= tolerance * abs(value) or len(diagonal) == min(most, len(point_n)):
            return Eigenvalue(value, residual, 2 * len(diagonal))
        basis_kn = torch.cat([basis_kn, (image_n / beside[-1])[None]])
