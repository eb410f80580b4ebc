"""Methods that are broken, each in one place, and the test of the contract that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from adarts.errors import ConfigError
from adarts.methods import Method, MethodInfo, Progress, Purpose, Search
from adarts.methods.pc_darts import PcDarts
from adarts.spaces import CellGenotype, Genotype
from adarts.supernet import ArchWeights, Supernet
from adarts.testing import MethodContract

INFO = MethodInfo(
    "broken", "Broken", 2026, "none", "nothing", "as darts", defaults={"images": {"per_class": 2, "size": 8}}
)


class Broken(Method):
    """DARTS of first order, but for what a subclass breaks."""

    info = INFO


class Forgetful(Broken):
    """Counts its passes, and lets the count lead to other alphas."""

    count = 0

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        self.count += 1
        arch_weights = super().arch_weights(search, purpose, x_bchw, y_b)
        return ArchWeights({kind: w_eo * (1 + 0.1 * self.count) for kind, w_eo in arch_weights.operations.items()})


class Idle(Broken):
    """Never moves the alphas."""

    def order(self, progress: Progress) -> tuple[Purpose, ...]:
        return ("weights",)


class WrongHalf(Broken):
    """The alphas learn from the half for the weights."""

    alpha_batches = ("weights",)


class Peeking(Broken):
    """The weights learn from a batch of the other half that was kept."""

    def on_phase_start(self, search: Search) -> None:
        self.kept = search.batch("alphas")

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        weights = super().arch_weights(search, purpose, x_bchw, y_b)
        if purpose != "weights":
            return weights
        scale = search.loss(*self.kept, weights)[0].detach()
        return ArchWeights({kind: scale * w_eo for kind, w_eo in weights.operations.items()})


class PerImage(Broken):
    """A penalty that is a sum over images, beside a loss that is a mean."""

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        self.images = len(y_b)
        return super().arch_weights(search, purpose, x_bchw, y_b)

    def penalty(self, alpha_eo: Tensor, active_eo: Tensor, weights_eo: Tensor, progress: Progress) -> Tensor:
        return 1e-3 * self.images * weights_eo.square().sum()


class Noisy(Broken):
    """Claims that a GPU may repeat what it draws."""

    info = replace(INFO, replay="run")

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Tensor:
        return self.weights(alpha_eo + torch.randn_like(alpha_eo), active_eo)


class Hardening(Broken):
    """Claims the whole run for what changes with the epoch."""

    info = replace(INFO, replay="run")

    def sample(self, alpha_eo: Tensor, active_eo: Tensor, progress: Progress) -> Tensor:
        return self.weights(alpha_eo / progress.line(1.0, 0.1), active_eo)


class WithoutBeta(Broken):
    """Forgets the weights of the edges."""

    def arch_weights(self, search: Search, purpose: Purpose, x_bchw: Tensor, y_b: Tensor) -> ArchWeights:
        return ArchWeights(self.operation_weights(search.supernet))


class FrozenBeta(PcDarts):
    """Weighs the edges, but they do not learn."""

    def edge_weights(self, supernet: Supernet) -> Mapping[str, Tensor] | None:
        weights = super().edge_weights(supernet)
        return weights and {kind: weights_e.detach() for kind, weights_e in weights.items()}


class Unweighed(Broken):
    """Asks for an auxiliary skip connection that it does not weigh."""

    info = MethodInfo(**{**vars(INFO), "defaults": {"edge": {"auxiliary_skip": True}}})


def cells(operation: str, nodes: int) -> Genotype:
    node = ((operation, 0), ("skip_connect", 1))
    return Genotype({kind: CellGenotype((node,) * nodes, (2, 3)) for kind in ("normal", "reduction")})


class Empty(Broken):
    """Derives `none`."""

    def derive(self, supernet: Supernet) -> Genotype:
        return cells("none", 4)


class Short(Broken):
    """Derives cells with a node less when all is over."""

    over = False

    def on_epoch_end(self, search: Search) -> dict[str, Any]:
        self.over = search.progress.is_last
        return {}

    def derive(self, supernet: Supernet) -> Genotype:
        return cells("sep_conv_3x3", 3) if self.over else super().derive(supernet)


ORDERS: tuple[object, ...] = ((), ("alphas",), None, "weights", ("alphas", "wieghts"))
REACH = "test_every_active_alpha_receives_a_finite_gradient"
DESIGNS = "test_other_designs_of_the_mixed_edge"
MOVES = "test_the_alphas_rest_in_the_warm_up_and_move_behind_it"
HALVES = "test_each_update_learns_from_its_half_of_the_images"
PENALTY = "test_a_penalty_is_that_of_the_whole_batch"
REPEATS = "test_what_a_gpu_may_repeat_does_not_change"
CELLS = "test_the_cells_are_valid_and_can_be_built"


@pytest.mark.parametrize(
    ("method", "test", "says"),
    [
        (Forgetful, "test_a_resumed_search_is_the_uninterrupted_one", "^state"),
        (Idle, MOVES, "the alphas never moved"),
        (WrongHalf, HALVES, "the update of the alphas does not learn from the half for the alphas"),
        (Peeking, HALVES, "the update of the weights learns from the half for the alphas"),
        (PerImage, PENALTY, "depends on the smaller batches"),
        (Noisy, REPEATS, "replay is 'run', but a pass draws"),
        (Hardening, REPEATS, "what is computed changes with the epoch"),
        (WithoutBeta, DESIGNS, "betas.normal: no gradient within 1 steps at 14 places"),
        (FrozenBeta, REACH, "betas.normal: no gradient within 1 steps at 14 places"),
        (Unweighed, "test_the_record_is_complete_and_the_hooks_fit", "needs the hook auxiliary"),
    ],
)
def test_the_contract_tells_what_is_broken(method: type[Method], test: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        getattr(contract(method), test)()


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (Empty, "method 'broken' derives cells outside the space: .* operation 'none'"),
        (Short, "the normal cell has 3 nodes; cells of 'darts' have 4"),
    ],
)
def test_cells_outside_the_space_are_refused_in_the_search_itself(method: type[Method], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        getattr(contract(method), CELLS)()


@pytest.mark.parametrize(
    ("hook", "value", "says"),
    [
        *(("order", value, "order must return a tuple of 'alphas', 'weights' and 'both'") for value in ORDERS),
        ("sample", None, r"must be a tensor \(14, 8\), or a pair of it and a bool"),
        ("weights", torch.zeros(2), r"not a tensor \(2,\)"),
        ("penalty", torch.zeros(3), r"penalty must return a tensor of one number, or None, not a tensor \(3,\)"),
        ("auxiliary", None, "auxiliary must return a number, not None"),
        ("skip_dropout", "0.1", "skip_dropout must return a number, not '0.1'"),
        ("derive", None, "derive must return a Genotype, not NoneType"),
    ],
)
def test_a_hook_that_returns_something_else_is_named(hook: str, value: object, says: str) -> None:
    method = type("Wrong", (Broken,), {hook: lambda self, *arguments, **named: value})
    with pytest.raises(ConfigError, match=f"^method 'broken': .*{says}"):
        contract(method).search().step(1, 0)


def contract(method: type[Method]) -> MethodContract:
    found: MethodContract = type("Contract", (MethodContract,), {"method": method})()
    return found
