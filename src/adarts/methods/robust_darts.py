"""RobustDARTS's early stopping: the search ends when the validation loss becomes too sharp in the alphas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from adarts.config.settings import Settings
from adarts.engine.update import Gradient
from adarts.methods.base import MethodInfo, Search
from adarts.methods.batch_gradient import BatchGradient, weights_of
from adarts.methods.curvature import largest_eigenvalue
from adarts.methods.darts import Darts
from adarts.methods.darts_2nd import Darts2nd
from adarts.methods.registry import register
from adarts.spaces import Genotype
from adarts.supernet import Supernet

PUBLISHED_EPOCHS = 50
"""Epochs of the published search, to which `every` and `earliest` refer."""
STEP = 1.0
"""Step of the differences in the space of all alphas, large enough to average over many kinks of ReLUs."""


@register
class RobustDarts(Darts2nd):
    """DARTS that monitors the curvature of the validation loss and returns to the epoch where it began to grow (DARTS-ES).

    Every second epoch, it computes the largest eigenvalue l_i of the Hessian with respect to all alphas on one validation batch.
    The public code draws another batch every time; here it is always the same, so that the values differ by the search alone::

        l_i  = max eig ( d^2 L_val(w, alpha) / d alpha^2 )  +  alphas.weight_decay
        m_i  = mean of l_(i-2) ... l_(i+2)
        stop when  m_i / m_(i-4) > 1.3   and value i-4 belongs to epoch 10 or later (from 0); known two values after i

    It then returns the cells of value i-4. The ratio 1.3 and the distance 4 are those of the public code, which measures every
    second epoch in its scripts and searches with second-order gradients. The epoch numbers 2 and 10 apply to 50 epochs after the
    warm-up and are scaled for other lengths. A search with fewer than nine values never stops early. The eigenvalue is computed
    from differences of gradients, because native kernels have no second derivative. Of the paper, this is the early stopping
    alone: not its searches with other weight decay or drop path (R-DARTS), nor the one that goes back and raises the weight decay
    (DARTS-ADA). The public scripts also search with cutout.
    """

    info = MethodInfo(
        name="robust-darts",
        title="RobustDARTS, early stopping",
        year=2019,
        paper="Zela et al.: Understanding and Robustifying Differentiable Architecture Search, ICLR 2020",
        changes="stops when the largest eigenvalue of the validation loss's Hessian grows",
        cost="as darts-2nd, plus some tens of passes every second epoch",
        defaults=Darts.info.defaults,
        spaces=Darts.info.spaces,
        replay="epoch",
    )

    class Options(Settings):
        second_order: bool = True
        """Use second-order gradients of the alphas, as in the published searches."""
        every: PositiveInt = 2
        """Epochs between two eigenvalues, in a search of 50 epochs."""
        earliest: NonNegativeInt = 10
        """First epoch whose cells may be returned, in a search of 50 epochs."""
        window: PositiveInt = 5
        """Number of eigenvalues in a mean."""
        back: PositiveInt = 4
        """Number of eigenvalues between the two means that are compared."""
        ratio: PositiveFloat = Field(default=1.3, gt=1)
        """The search stops if a mean exceeds the earlier one by this factor."""

    options: Options

    def __init__(self, options: Settings) -> None:
        super().__init__(options)
        if not self.options.second_order:
            self.alpha_batches = ("alphas",)
        #: epoch, eigenvalue and cells of each measurement
        self.measured: list[dict[str, Any]] = []
        #: index of the measurement whose cells are returned
        self.kept: int | None = None

    def on_phase_start(self, search: Search) -> None:
        """Draw the batch for all eigenvalues."""
        self.batch = search.batch("alphas")

    def alpha_gradient(self, search: Search) -> Gradient | None:
        return super().alpha_gradient(search) if self.options.second_order else None

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        """Measure the eigenvalue, and stop if it has grown too much."""
        progress, warmup = search.progress, search.progress.warmup_epochs
        every, earliest = self.schedule(progress.epochs - warmup)
        epoch = progress.epoch - warmup
        if epoch < 0 or epoch % every:
            return {}
        value = self.curvature(search)
        self.measured.append({"epoch": epoch, "eigenvalue": value, "genotype": self.derive(search.supernet).to_dict()})
        self.kept, ratio = self.sharpened(earliest)
        if self.kept is not None:
            back = warmup + self.measured[self.kept]["epoch"] + 1
            search.stop(f"the eigenvalue has grown by a factor of {ratio:.2f}; returning to the cells of epoch {back}")
        return {"eigenvalue": value}

    def schedule(self, epochs: int) -> tuple[int, int]:
        """Epochs between two measurements, and the first epoch to which the search may return."""
        share = epochs / PUBLISHED_EPOCHS
        return max(1, round(self.options.every * share)), round(self.options.earliest * share)

    def sharpened(self, earliest: int) -> tuple[int | None, float]:
        """Index of the measurement to which the search should return, or None, and the ratio of the two means."""
        values, window = [measured["eigenvalue"] for measured in self.measured], self.options.window
        before = len(values) - self.options.back - window
        if before < 0:
            return None, 1.0
        ratio = sum(values[-window:]) / sum(values[before : before + window])
        middle = before + window // 2
        stops = ratio > self.options.ratio and self.measured[middle]["epoch"] >= earliest
        return middle if stops else None, ratio

    def curvature(self, search: Search) -> float:
        """The largest eigenvalue of the Hessian of the validation loss, plus the weight decay."""
        net = search.supernet
        net.train()
        alphas, weights = net.alpha_parameters(), weights_of(net)
        passes = BatchGradient(self, search, "alphas", self.batch, search.accumulation)
        point_n = _flat(alphas).detach()

        def gradient(at_n: Tensor) -> Tensor:
            search.check_stop()
            _write(alphas, at_n)
            return _flat(passes.gradient(weights, "alphas", precise=True)[1])

        for parameter in alphas:
            parameter.requires_grad_()
        try:
            return largest_eigenvalue(gradient, point_n, step=STEP).value + search.config.alphas.weight_decay
        finally:
            _write(alphas, point_n)

    def derive(self, supernet: Supernet) -> Genotype:
        """The cells of the epoch to which the search returned; otherwise the cells derived from the alphas."""
        if self.kept is not None:
            return Genotype.from_dict(self.measured[self.kept]["genotype"])
        return super().derive(supernet)

    def chosen_by(self) -> str | None:
        return None if self.kept is None else "the curvature of the loss, which led back to an earlier epoch"

    def state_dict(self) -> dict[str, Any]:
        return {"measured": self.measured, "kept": self.kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.measured, self.kept = list(state["measured"]), state["kept"]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


@torch.no_grad()
def _write(parameters: Sequence[Tensor], values_n: Tensor) -> None:
    for parameter, values in zip(parameters, values_n.split([p.numel() for p in parameters]), strict=True):
        parameter.copy_(values.view_as(parameter))
