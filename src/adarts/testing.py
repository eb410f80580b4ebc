"""The contract of a search method, as tests that a method of your own can be put through.

    from adarts.testing import MethodContract
    from my_package import MyMethod

    class TestMyMethod(MethodContract):
        method = MyMethod

pytest runs it as it runs any test class. Every search in it is a real one, on the embedded photographs, of a few seconds.
"""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar
from unittest import SkipTest

import torch
from torch import Tensor

from adarts.config.loading import merge
from adarts.config.settings import SearchConfig
from adarts.data import load_images
from adarts.methods import Method
from adarts.methods.registry import check
from adarts.searching import SearchTask
from adarts.space import Genotype, Network
from adarts.supernet import Mixture

SMALL: Mapping[str, Any] = {
    "supernet": {"channels": 8, "cells": 3},
    "search": {"epochs": 2, "batch_size": 8, "warmup_epochs": 1},
    "images": {"per_class": 4, "size": 16},
}
"""The budget of every search here."""

EDGES: Mapping[str, Mapping[str, Any]] = {
    "all channels": {"selector": "all", "k": 1, "attention": False, "normalisation": False},
    "attention": {"selector": "attention", "k": 4, "attention": True, "normalisation": True},
}
"""Designs of the mixed edge that a method meets besides its own."""


class MethodContract:
    """What every method keeps.

    Attributes:
        method: the class under test.
        steps_to_every_logit: search steps within which every active logit has received a gradient; more than 1 where a pass
            samples.
        edges: the designs of the mixed edge that the method works with, besides its own.
        settings: what is changed in the small searches here, section by section.
    """

    method: ClassVar[type[Method]]
    steps_to_every_logit: ClassVar[int] = 1
    edges: ClassVar[Mapping[str, Mapping[str, Any]]] = EDGES
    settings: ClassVar[Mapping[str, Any]] = {}

    def search(self, **changes: Any) -> SearchTask:
        """A small search with the published hyper-parameters."""
        return small_search(self.method, self.settings, changes)

    def oracle(self, search: SearchTask, x_bchw: Tensor, mixture: Mixture) -> Tensor:
        """Class scores by a supernet that is independent of the package's, for those who have one.

        Args:
            search: its supernet has just made the same pass, so that its selection of channels is known.
            x_bchw: images in float64.
            mixture: weights of the pass; gradients flow through them to the logits of the search.
        """
        raise SkipTest("no oracle at hand")

    # ------------------------------------------------------------------------------------------------------- the record

    def test_the_record_is_complete_and_the_hooks_fit(self) -> None:
        check(self.method)
        info = self.method.info
        for field in ("name", "title", "paper", "changes", "cost"):
            assert getattr(info, field).strip(), f"info.{field} is empty"
        assert self.method.__doc__, "the class has no docstring, which `adarts methods show` prints"
        SearchConfig.model_validate(_layers(self.method))  # the published hyper-parameters fit together

    # ------------------------------------------------------------------------------------------------------ the updates

    def test_the_update_of_the_weights_leaves_the_logits_alone(self) -> None:
        search = _at(self.search(), 1)
        if self.method.single_level:
            raise SkipTest("moves both with one update")
        weights, logits = _snapshot(search.supernet.weight_parameters()), _snapshot(search.supernet.logit_parameters())
        search.update_weights()
        assert not any(_moved(logits, search.supernet.logit_parameters())), "the weights' update moved logits"
        assert any(_moved(weights, search.supernet.weight_parameters())), "the weights' update moved no weight"

    def test_the_update_of_the_logits_leaves_the_weights_alone(self) -> None:
        search = _at(self.search(), 1)
        if self.method.single_level:
            raise SkipTest("moves both with one update")
        net = search.supernet
        weights, buffers = _snapshot(net.weight_parameters()), _snapshot(net.buffers())
        logits = _snapshot(net.logit_parameters())
        search.update_logits()
        assert not any(_moved(weights, net.weight_parameters())), "the logits' update moved weights"
        assert not any(_moved(buffers, net.buffers())), "the logits' update moved running statistics"
        assert any(_moved(logits, net.logit_parameters())), "the logits' update moved no logit"

    def test_every_active_logit_receives_a_finite_gradient(self) -> None:
        search = self.search(search={"epochs": 2 + self.steps_to_every_logit})
        net = search.supernet
        reached = {name: torch.zeros_like(logits, dtype=torch.bool) for name, logits in net.logits.items()}
        for step in range(self.steps_to_every_logit):
            _at(search, 1 + step // search.steps(0), step % search.steps(0))
            search.update_both() if self.method.single_level else search.update_logits()
            for name, logits in net.logits.items():
                if logits.grad is not None:
                    assert torch.isfinite(logits.grad).all(), f"{name}: a gradient that is not finite"
                    reached[name] |= logits.grad != 0
        for kind, active in net.active.items():
            missing = (active & ~reached[f"{kind}_alpha"]).nonzero().tolist()
            assert not missing, (
                f"{kind}: no gradient within {self.steps_to_every_logit} steps for {len(missing)} pairs of edge and operation, "
                f"{missing[:5]} among them"
            )

    def test_what_is_not_active_is_left_alone(self) -> None:
        search = self.search()
        net = search.supernet
        active = {kind: own.clone() for kind, own in net.active.items()}
        for own in active.values():
            own[::2, own[0].nonzero()[-1]] = False  # one operation less on every second edge
        for kind, own in active.items():
            net.set_active(kind, own.tolist())
        before = {name: logits.detach().clone() for name, logits in net.logits.items()}
        _at(search, 1)
        self.method.update(search.method, search)
        for kind, own in active.items():
            name = f"{kind}_alpha"
            assert torch.equal(net.logits[name][~own], before[name][~own]), f"{kind}: logits that are not active moved"
            weights = search.method.operation_weights(net)[kind]
            assert not weights[~own].any(), f"{kind}: operations that are not active have weights"

    # --------------------------------------------------------------------------------------------- the state, the result

    def test_a_resumed_search_is_the_uninterrupted_one(self) -> None:
        whole, parts = self.search(), self.search()
        _carry_out(whole)
        epoch = step = 0
        totals: dict[str, float] = {}
        while epoch < parts.epochs:  # a new process after every step and every epoch
            if step < parts.steps(epoch):
                _add(totals, parts.step(epoch, step))
                step += 1
            else:
                parts.end_epoch(epoch, totals)
                epoch, step, totals = epoch + 1, 0, {}
            state = copy.deepcopy(parts.state_dict())
            parts = self.search()
            parts.load_state_dict(state)
        assert_equal_states(whole.state_dict(), parts.state_dict())
        assert whole.genotype() == parts.genotype()

    def test_the_same_seed_gives_the_same_cells_in_another_process(self) -> None:
        search = self.search()
        _carry_out(search)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            there = pool.submit(_found, self.method, self.settings, torch.get_num_threads()).result()
        assert there == search.genotype().to_dict()

    def test_the_cells_are_valid_and_can_be_built(self) -> None:
        search = self.search()
        for genotype in (search.genotype(), _finished(search)):
            assert Genotype.from_json(genotype.to_json()) == genotype
            network = Network(genotype, num_classes=3, channels=4, cells=3)
            assert network(torch.randn(2, 3, 16, 16)).shape == (2, 3)

    # --------------------------------------------------------------------------------------------------- the mixed edges

    def test_other_designs_of_the_mixed_edge(self) -> None:
        for name, edge in self.edges.items():
            search = self.search(edge=edge)
            sums = search.step(1, 0)
            assert all(torch.isfinite(torch.as_tensor(value)) for value in sums.values()), name
            search.genotype()

    def test_a_batch_in_parts(self) -> None:
        search = self.search()
        assert search.halve_batch()
        sums = search.step(1, 0)
        assert sums["images"] == search.config.search.batch_size
        assert all(torch.isfinite(torch.as_tensor(value)) for value in sums.values())

    def test_the_oracle_agrees(self) -> None:
        search = _at(self.search(), 1)
        net = search.supernet.double()
        x_bchw, y_b = search.batch("weights")
        x_bchw = x_bchw.double()
        torch.manual_seed(0)
        mixture = search.method.mixture(search, "logits", x_bchw, y_b)
        mixture = replace(mixture, skip_dropout=0.0)  # what is drawn, no oracle can know
        scores = net(x_bchw, mixture=mixture, update_statistics=False)
        expected = self.oracle(search, x_bchw, mixture)
        torch.testing.assert_close(scores, expected, rtol=1e-9, atol=1e-9)
        logits = [search.supernet.logits[f"{kind}_alpha"] for kind in net.space.cell_kinds]
        direction = torch.randn_like(scores)
        ours, theirs = (torch.autograd.grad(y, logits, direction, retain_graph=True) for y in (scores, expected))
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-7, atol=1e-9)


def small_search(method: type[Method], settings: Mapping[str, Any], changes: Mapping[str, Any]) -> SearchTask:
    """A search of seconds with the published hyper-parameters of a method.

    Args:
        method: whose.
        settings: changes for the method.
        changes: changes for one search, above all others.
    """
    config = SearchConfig.model_validate(_layers(method, SMALL, settings, changes))
    data = load_images("signs", config.images, config.seed)
    options = method.Options.model_validate(config.options)
    return SearchTask(config, data, method(options), torch.device("cpu"))


def assert_equal_states(one: Any, other: Any, where: str = "state") -> None:
    """Two states of a search, or parts of them, are equal to the last bit.

    Raises:
        AssertionError: they are not; it says where.
    """
    if isinstance(one, Tensor):
        assert isinstance(other, Tensor) and torch.equal(one, other), where
    elif isinstance(one, Mapping):
        assert set(one) == set(other), where
        for key, value in one.items():
            if key == "param_groups":  # how an optimiser works, not what it has gathered; a learning rate is set anew
                continue
            assert_equal_states(value, other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal_states(a, b, f"{where}[{index}]")
    else:
        assert one == other, where


def _layers(method: type[Method], *above: Mapping[str, Any]) -> dict[str, Any]:
    """The published hyper-parameters, with the layers above them."""
    layers: dict[str, Any] = {"method": method.info.name, "options": method.Options().model_dump()}
    for layer in (method.info.defaults, *above):
        merge(layers, layer)
    return layers


def _at(search: SearchTask, epoch: int, step: int = 0) -> SearchTask:
    """The search before the updates of a step."""
    search.supernet.train()
    search.go_to(epoch, step)
    return search


def _snapshot(tensors: Any) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def _moved(before: list[Tensor], tensors: Any) -> list[bool]:
    return [not torch.equal(old, now) for old, now in zip(before, tensors, strict=True)]


def _add(totals: dict[str, float], sums: Mapping[str, Tensor | float]) -> None:
    for name, value in sums.items():
        totals[name] = totals.get(name, 0.0) + float(value)


def _carry_out(search: SearchTask) -> None:
    epoch = 0
    while epoch < search.epochs:  # a method may stop earlier than it was planned
        totals: dict[str, float] = {}
        for step in range(search.steps(epoch)):
            _add(totals, search.step(epoch, step))
        search.end_epoch(epoch, totals)
        epoch += 1


def _finished(search: SearchTask) -> Genotype:
    _carry_out(search)
    return search.genotype()


def _found(method: type[Method], settings: Mapping[str, Any], threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    return _finished(small_search(method, settings, {})).to_dict()
