"""DrNAS: operation weights are samples of a Dirichlet distribution with parameters from the alphas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig
from adarts.methods.base import Method, MethodInfo, Search
from adarts.methods.registry import register
from adarts.methods.schedule import Phase, Progress
from adarts.methods.stages import WithNone, leave_out_none, strongest
from adarts.spaces import Space
from adarts.supernet import Supernet


@register
class DrNas(Method):
    """Every pass weights the operations of an edge by a sample; the gradient goes through the sample to alpha::

        theta ~ Dir(c),   c = ELU(alpha) + 1          drawn as gamma variables divided by their sum

    A penalty on alpha keeps theta from hardening: either the L2 penalty `alphas.weight_decay`, or the option `kl` (published:
    1e-3) times the divergence of the distributions of all edges from the uniform Dir(1). With `kl`, set `alphas.weight_decay` to
    0. As published, the space of DARTS is searched without `none`, and NAS-Bench-201 with it.

    The search has two phases of `search.epochs` each. In the first, 1/k of the channels go through the operations, where k is
    the next divisor of the channels that is at least `widening` times `edge.k`. In the second, k is `edge.k`, and each edge keeps
    the operations with the highest softmax(alpha). As published::

        space           k         operations     epochs
        darts           6 -> 4    7 -> 4         25 + 25
        nasbench201     4 -> 2    5 -> 3         50 + 50

    The learning rate of the weights follows one schedule over both phases. The second supernet inherits alpha and weights; new
    channels of an operation are copies of old ones. Cells are derived from softmax(alpha).
    """

    info = MethodInfo(
        name="dr-nas",
        title="DrNAS",
        year=2020,
        paper="Chen et al.: DrNAS: Dirichlet Neural Architecture Search, ICLR 2021",
        changes="Dirichlet samples; fewer operations and more channels in the second phase; 36 channels, 20 cells",
        cost="a supernet as large as the final network; a sixth, then a quarter of its channels in the operations",
        defaults={
            "edge": {"selector": "first", "k": 4, "attention": False, "normalization": False},
            "supernet": {"channels": 36, "cells": 20},
            "search": {"epochs": 25, "batch_size": 64, "warmup_epochs": 10},
            "weights": {
                "learning_rate": 0.1,
                "final_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": False,
                "weight_decay": 3e-4,
                "clip": 5.0,
            },
            "alphas": {"learning_rate": 6e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
        },
        spaces={
            "nasbench201": {
                "edge": {"k": 2},
                "search": {"epochs": 50},
                "weights": {"learning_rate": 0.025, "final_learning_rate": 0.001},
                "alphas": {"learning_rate": 3e-4},
                "options": {"with_none": True, "kept": 3, "widening": 2.0},
            }
        },
    )

    class Options(WithNone):
        with_none: bool = False
        """Search with the operation `none`, where the space has it."""
        kept: PositiveInt = 4
        """Operations that an edge keeps in the second phase."""
        widening: float = Field(default=1.5, ge=1)
        """How many times as many channels go through the operations in the second phase, at least."""
        kl: NonNegativeFloat = 0.0
        """Weight of the divergence from Dir(1)."""

    options: Options

    def phases(self, config: SearchConfig, space: Space) -> tuple[Phase, ...]:
        (second,) = super().phases(config, space)
        k = _narrow(config.supernet.channels, config.edge, self.options.widening)
        return replace(second, edge=config.edge.model_copy(update={"k": k})), replace(second, continues=True)

    def on_phase_start(self, search: Search) -> None:
        """First phase: leave out `none`. Second phase: inherit weights and alphas, and keep the strongest operations."""
        net, before = search.supernet, search.previous
        if before is not None:
            widen(before, net)
            for kind, weights_eo in self.operation_weights(before).items():
                net.set_active(kind, strongest(weights_eo, before.active[kind], self.options.kept))
        elif not self.options.with_none:
            leave_out_none(net)

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Tensor:
        c_eo = concentration(alpha_eo)
        return _shares(torch.distributions.Gamma(c_eo, torch.ones_like(c_eo)).rsample(), active_eo)

    def expected(self, alpha_eo: Tensor, active_eo: Tensor) -> Tensor:
        return _shares(concentration(alpha_eo), active_eo)

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor | None:
        kl = self.options.kl
        return kl * divergence(concentration(alpha_eo), active_eo).sum() if kl else None


def concentration(alpha_eo: Tensor) -> Tensor:
    """c, the parameters of the distributions (edges, operations)."""
    # An alpha below -16 would give 0, which is not a valid parameter.
    return (F.elu(alpha_eo) + 1).clamp(min=1e-6)


def divergence(concentration_eo: Tensor, active_eo: Tensor) -> Tensor:
    """KL(Dir(c) || Dir(1)) over the active operations of every edge: (edges,)."""
    total_e1 = (concentration_eo * active_eo).sum(-1, keepdim=True)
    excess_eo = (concentration_eo - 1) * (concentration_eo.digamma() - total_e1.digamma())
    inner_e = ((excess_eo - concentration_eo.lgamma()) * active_eo).sum(-1)
    return inner_e + total_e1.squeeze(-1).lgamma() - active_eo.sum(-1).to(inner_e.dtype).lgamma()


def widen(narrow: Supernet, wide: Supernet) -> None:
    """Transfer weights and alphas to a supernet with more channels in its operations (net2wider).

    The first channels of an operation are the old ones, the others are copies of them. A convolution divides the weight of an
    input channel among its copies. If the new inputs are copies, too, an operation computes the old outputs and copies of them.
    """
    before, state = narrow.state_dict(), {}
    for name, tensor in wide.state_dict().items():
        old = before[name]
        if old.shape == tensor.shape:
            state[name] = old
        elif name.endswith(".slots"):
            state[name] = tensor  # channels, of which no copy may enter
        elif ".skip_connect.norm." in name or ".auxiliary.norm." in name:
            # A reducing skip connection concatenates the channels of its two convolutions, so widen each half.
            state[name] = torch.cat([_widened(half, (len(tensor) // 2,)) for half in old.chunk(2)])
        else:
            state[name] = _widened(old, tensor.shape)
    wide.load_state_dict(state)


def _widened(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Widen a weight (out, in, ...) or statistic (out,) of one edge to a shape with more channels."""
    for axis, size in enumerate(shape):
        old = tensor.shape[axis]
        if size == old:
            continue
        origin = torch.arange(size, device=tensor.device) % old
        tensor = tensor.index_select(axis, origin)
        if axis == 1:
            copies = origin.bincount()[origin]
            tensor = tensor / copies.view(-1, *[1] * (tensor.dim() - 2))
    return tensor


def _shares(values_eo: Tensor, active_eo: Tensor) -> Tensor:
    values_eo = values_eo * active_eo
    return values_eo / values_eo.sum(-1, keepdim=True)


def _narrow(channels: int, edge: EdgeDesign, widening: float) -> int:
    """The first phase's k."""
    if edge.selector == "all":
        return edge.k
    larger = (k for k in range(edge.k + 1, channels + 1) if channels % k == 0 and k >= widening * edge.k)
    return next(larger, edge.k)
