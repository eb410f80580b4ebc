"""The largest eigenvalue of a Hessian, from gradients alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from adarts.errors import NotFiniteError
from adarts.seeding import generator


class Eigenvalue(NamedTuple):
    """An eigenvalue approached from below, with one of the Hessian within `residual` of it; the `gradients` it took."""

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
    """The algebraically largest eigenvalue of the Hessian of a function, by Lanczos's method.

    Products with the Hessian H are central differences of gradients g, so that no second derivative is computed::

        H v  =  (g(x + step v) - g(x - step v)) / (2 step),   |v| = 1

    Every product adds a direction v to a basis in which H is tridiagonal; the largest eigenvalue there grows towards that of
    H. It ends when the residual is below ``tolerance`` times the value. For a smooth function, the error of the differences
    shrinks with the square of the step until rounding shows. In a network of ReLUs, the gradients also jump at the bends between
    the two points: noise that raises the eigenvalue, and grows with 1/sqrt(step).

    Args:
        gradient: of the function, at a point (n,).
        point_n: where.
        step: distance of the points of a difference from it.
        tolerance: largest residual, in shares of the value.
        most: products at most; there are no more than n.
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
        for _ in range(2):  # orthogonal to all earlier ones; the second time takes away what rounding left
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
