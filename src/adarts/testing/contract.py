"""The contract of search methods as tests."""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, ClassVar
from unittest import SkipTest
from unittest.mock import patch

import torch
from torch import Tensor

from adarts.config.settings import SearchConfig
from adarts.methods import Method, Purpose
from adarts.methods.base import weighs_auxiliary
from adarts.methods.registry import check, published_by
from adarts.models import Network
from adarts.searching import SearchTask
from adarts.spaces import Genotype
from adarts.supernet import ArchWeights, is_alpha
from adarts.testing.searches import (
    Epoch,
    add,
    assert_equal_states,
    at,
    carry_out,
    gradient,
    gradients,
    moved,
    small_search,
    snapshot,
    update_alphas,
    with_negatives,
)

EDGES: Mapping[str, Mapping[str, Any]] = {
    "all channels": {"selector": "all", "k": 1, "attention": False, "normalization": False},
    "attention": {"selector": "attention", "k": 4, "attention": True, "normalization": True},
}
"""Further designs of the mixed edge with which a method is tested."""


@dataclass(frozen=True)
class Finished:
    """A finished search: its epochs, final state, and cells before the first step and at the end."""

    epochs: list[Epoch]
    state: dict[str, Any]
    first: Genotype
    last: Genotype


class MethodContract:
    """The tests that every method must pass.

    Attributes:
        method: the class under test.
        steps_to_every_alpha: search steps after which every active alpha has received a gradient; more than 1 for methods that
            sample operations.
        edges: further designs of the mixed edge that the method supports.
        settings: changes of the small searches' configuration, by section.
    """

    method: ClassVar[type[Method]]
    steps_to_every_alpha: ClassVar[int] = 1
    edges: ClassVar[Mapping[str, Mapping[str, Any]]] = EDGES
    settings: ClassVar[Mapping[str, Any]] = {}

    @property
    def learns_alphas(self) -> bool:
        """Whether the method has alphas."""
        return self.method.info.family == "gradient"

    def search(self, **changes: Any) -> SearchTask:
        """A small search with the published hyper-parameters."""
        return small_search(self.method, self.settings, changes)

    def finished(self) -> Finished:
        """A finished small search, shared by all tests of a class."""
        return _finished(type(self))  # type: ignore[arg-type]  # mypy asks the class for the hash of an instance

    def oracle(self, search: SearchTask, x_bchw: Tensor, arch_weights: ArchWeights) -> Tensor:
        """Logits of an independent implementation of the supernet. Override it if you have one; otherwise the test is skipped.

        Args:
            search: the search. Its supernet has just run the same pass and stores the selected channels.
            x_bchw: images in float64.
            arch_weights: weights of the pass; gradients flow through them to the alphas of the search.
        """
        raise SkipTest("no oracle")

    # ------------------------------------------------------------------------------------------------------- the record

    def test_the_record_is_complete_and_the_hooks_fit(self) -> None:
        check(self.method)
        info = self.method.info
        for field in ("name", "title", "paper", "changes", "cost"):
            assert getattr(info, field).strip(), f"info.{field} is empty"
        assert self.method.__doc__, "the class has no docstring, which `adarts methods NAME` prints"
        config = SearchConfig.model_validate({"method": info.name, **published_by(self.method, "darts")})
        assert config.edge.auxiliary_skip == weighs_auxiliary(self.method), (
            "edge.auxiliary_skip needs the hook auxiliary, and the reverse"
        )

    # ------------------------------------------------------------------------------------------------------ the updates

    def test_the_update_of_the_weights_leaves_the_alphas_alone(self) -> None:
        weights, _, alphas = self._moved_by("weights")
        assert not alphas, "the weights' update moved alphas"
        assert weights, "the weights' update moved no weight"

    def test_the_update_of_the_alphas_leaves_the_weights_alone(self) -> None:
        weights, buffers, alphas = self._moved_by("alphas")
        assert not weights, "the alphas' update moved weights"
        assert not buffers, "the alphas' update moved running statistics"
        assert alphas, "the alphas' update moved no alpha"

    def test_each_update_learns_from_its_half_of_the_images(self) -> None:
        if self.method.single_level:
            raise SkipTest("learns from all images at once")
        if not self.learns_alphas:
            raise SkipTest("uses one half only")
        search = self.search()
        halves: dict[Purpose, Tensor] = {
            "alphas": search.alpha_batches.indices,
            "weights": search.weight_batches.indices,
        }
        learns: dict[tuple[Purpose, Purpose], bool] = {
            ("alphas", "alphas"): True,
            ("alphas", "weights"): "weights" in search.method.alpha_batches,
            ("weights", "alphas"): False,
            ("weights", "weights"): True,
        }
        known = gradients(search)
        others = {half: gradients(with_negatives(search, indices)) for half, indices in halves.items()}
        for (update, half), expected in learns.items():
            found = not torch.equal(known[update], others[half][update])
            wrong = "learns" if found else "does not learn"
            assert found == expected, f"the update of the {update} {wrong} from the half for the {half}"

    def test_every_active_alpha_receives_a_finite_gradient(self) -> None:
        self._require_gradients()

    def test_a_penalty_is_that_of_the_whole_batch(self) -> None:
        if self.method.penalty is Method.penalty:
            raise SkipTest("has no penalty")
        whole, halved = map(self._effect_of_the_penalty, (1, 2))
        distance = (whole - halved).norm()
        assert distance <= 0.01 * whole.norm() + 1e-6, (
            "the penalty depends on the smaller batches whose gradients are added up"
        )

    def test_what_is_not_active_is_left_alone(self) -> None:
        search = self.search()
        net = search.supernet
        active = {kind: own.clone() for kind, own in net.active.items()}
        for own in active.values():
            own[::2, own[0].nonzero()[-1]] = False  # one operation less on every second edge
        for kind, own in active.items():
            net.set_active(kind, own.tolist())
        before = {name: alphas.detach().clone() for name, alphas in net.alphas.items()}
        search.step(1, 0)
        for kind, own in active.items():
            assert torch.equal(net.alphas[kind][~own], before[kind][~own]), f"{kind}: alphas that are not active moved"
            if self.learns_alphas:
                weights = search.method.operation_weights(net)[kind]
                assert not weights[~own].any(), f"{kind}: operations that are not active have weights"

    def test_what_a_gpu_may_repeat_does_not_change(self) -> None:
        """A recorded update replays all numbers that were computed in Python while it was recorded."""
        claim = self.method.info.replay
        if claim == "never":
            raise SkipTest("no update is recorded")
        search = self.search(search={"epochs": 4})

        def numbers(epoch: int, seed: int) -> list[Tensor]:
            x_bchw, y_b = at(search, epoch).batch("weights")
            torch.manual_seed(seed)
            found: list[Tensor] = []
            for purpose in search.method.order(search.progress):
                weights = search.method.arch_weights(search, purpose, x_bchw, y_b)
                figures = torch.tensor([weights.auxiliary, weights.skip_dropout, weights.drop_path])
                penalty = search.method.penalty_of(search, weights)
                found += [*weights.operations.values(), figures, torch.zeros(()) if penalty is None else penalty]
            return found

        first = numbers(1, 0)
        assert not any(moved(first, numbers(1, 1))), f"info.replay is '{claim}', but a pass draws"
        if claim == "run":
            changes = any(moved(first, numbers(3, 0)))
            assert not changes, "info.replay is 'run', but what is computed changes with the epoch"
            own = self.method.alpha_gradient is not Method.alpha_gradient
            assert not own, "info.replay is 'run', but alpha_gradient may use the learning rate of the epoch"

    # --------------------------------------------------------------------------------------------- the state, the result

    def test_the_alphas_rest_in_the_warm_up_and_move_behind_it(self) -> None:
        epochs = self.finished().epochs
        early = [number for number, epoch in enumerate(epochs) if epoch.moved and not epoch.past_warmup]
        assert not early, f"the alphas moved in the epochs {early}, which are warm-up"
        moved = any(epoch.moved for epoch in epochs)
        assert moved == self.learns_alphas, f"the alphas {'never ' if self.learns_alphas else ''}moved"

    def test_a_resumed_search_is_the_uninterrupted_one(self) -> None:
        whole, parts = self.finished(), self.search()
        epoch = step = 0
        totals: dict[str, float] = {}
        while epoch < parts.epochs:  # a new process after every step and every epoch
            if step < parts.steps(epoch):
                add(totals, parts.step(epoch, step))
                step += 1
            else:
                parts.end_epoch(epoch, totals)
                epoch, step, totals = epoch + 1, 0, {}
            state = copy.deepcopy(parts.state_dict())
            parts = self.search()
            parts.load_state_dict(state)
        assert_equal_states(whole.state, parts.state_dict())
        assert whole.last == parts.genotype()

    def test_the_same_seed_gives_the_same_cells_in_another_process(self) -> None:
        there = _another_process().submit(_found, self.method, self.settings, torch.get_num_threads())
        assert there.result() == self.finished().last.to_dict()

    def test_the_cells_are_valid_and_can_be_built(self) -> None:
        for genotype in (self.finished().first, self.finished().last):
            assert Genotype.from_json(genotype.to_json()) == genotype
            network = Network(genotype, num_classes=3, channels=4, cells=3)
            assert network(torch.randn(2, 3, 16, 16)).shape == (2, 3)

    # --------------------------------------------------------------------------------------------------- the mixed edges

    def test_other_designs_of_the_mixed_edge(self) -> None:
        for name, edge in self.edges.items():
            search = self._require_gradients(edge=edge)
            sums = search.step(1, 0)
            assert all(torch.isfinite(torch.as_tensor(value)) for value in sums.values()), name
            search.genotype()

    def test_gradients_of_smaller_batches(self) -> None:
        search = self.search()
        assert search.halve_batch()
        sums = search.step(1, 0)
        assert sums["images"] == search.config.search.batch_size
        assert all(torch.isfinite(torch.as_tensor(value)) for value in sums.values())

    def test_the_oracle_agrees(self) -> None:
        search = at(self.search(), 1)
        net = search.supernet.double()
        x_bchw, y_b = search.batch("weights")
        x_bchw = x_bchw.double()
        torch.manual_seed(0)
        arch_weights = search.method.arch_weights(search, "alphas", x_bchw, y_b)
        arch_weights = replace(arch_weights, skip_dropout=0.0, drop_path=0.0)  # what is drawn, no oracle can know
        logits = net(x_bchw, arch_weights=arch_weights, update_statistics=False)
        expected = self.oracle(search, x_bchw, arch_weights)
        torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
        if not self.learns_alphas:
            return
        alphas = [search.supernet.alphas[kind] for kind in net.space.cell_kinds]
        direction = torch.randn_like(logits)
        ours, theirs = (torch.autograd.grad(y, alphas, direction, retain_graph=True) for y in (logits, expected))
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-7, atol=1e-9)

    # -------------------------------------------------------------------------------------------- what some of them share

    def _require_gradients(self, **changes: Any) -> SearchTask:
        """Run a search and assert that all alphas, and betas if edges are weighted, get a gradient in time."""
        steps = self.steps_to_every_alpha
        search = self.search(search={"epochs": 2 + steps}, **changes)
        if not self.learns_alphas:
            return at(search, 1)
        net = search.supernet
        named = {name: p for name, p in net.named_parameters() if is_alpha(name)}
        reached = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in named.items()}
        for step in range(steps):
            at(search, 1 + step // search.steps(0), step % search.steps(0))
            update_alphas(search)
            for name, alphas in named.items():
                if alphas.grad is not None:
                    assert torch.isfinite(alphas.grad).all(), f"{name}: a gradient that is not finite"
                    reached[name] |= alphas.grad != 0
        wanted = {f"alphas.{kind}": active for kind, active in net.active.items()}
        if net.design.normalization:  # the only edge of a node has weight 1, so its beta has no gradient
            rivals = torch.tensor([len(net.space.incoming(target)) > 1 for _, target in net.space.edges])
            wanted |= {f"betas.{kind}": rivals for kind in net.space.cell_kinds}
        for name, wanted_here in wanted.items():
            missing = (wanted_here & ~reached[name]).nonzero().tolist()
            assert not missing, (
                f"{name}: no gradient within {steps} steps at {len(missing)} places, {missing[:5]} among them"
            )
        return search

    def _moved_by(self, purpose: Purpose) -> list[bool]:
        """Whether an update changes weights, running statistics and alphas."""
        if self.method.single_level:
            raise SkipTest("moves both with one update")
        if purpose == "alphas" and not self.learns_alphas:
            raise SkipTest("does not update the alphas")
        search = at(self.search(), 1)
        net = search.supernet
        tensors: list[Callable[[], Iterable[Tensor]]] = [net.weight_parameters, net.buffers, net.alpha_parameters]
        before = [snapshot(found()) for found in tensors]
        search.update(purpose)
        return [any(moved(old, found())) for old, found in zip(before, tensors, strict=True)]

    def _effect_of_the_penalty(self, accumulation: int) -> Tensor:
        """The part of the alphas' gradient that comes from the penalty, with gradients accumulated over micro-batches.

        Micro-batches change the batch statistics and thus the gradient of the loss. It cancels in the difference of the two runs.
        """
        found = []
        for penalty in (nullcontext(), patch.object(self.method, "penalty", return_value=None)):
            with penalty:
                search = self.search(search={"epochs": 3}, alphas={"clip": None})
                alphas = search.supernet.alpha_parameters()
                torch.manual_seed(0)
                with torch.no_grad():
                    for tensor in alphas:
                        tensor.add_(torch.randn_like(tensor))  # some penalties are 0 at the initial alphas
                search.accumulation = accumulation
                update_alphas(at(search, 2))  # some penalties are 0 in the first epoch
                found.append(gradient(alphas))
        return found[0] - found[1]


@cache
def _another_process() -> ProcessPoolExecutor:
    """A process shared by all tests, because starting one takes longer than most searches here."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


@lru_cache(maxsize=1)  # pytest runs the tests of a class consecutively
def _finished(contract: type[MethodContract]) -> Finished:
    search = contract().search()
    first = search.genotype()
    return Finished(carry_out(search), search.state_dict(), first, search.genotype())


def _found(method: type[Method], settings: Mapping[str, Any], threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    search = small_search(method, settings)
    carry_out(search)
    return search.genotype().to_dict()
