"""Every method searches every space: nothing in their files knows which one it is."""

import pytest
import torch

from adarts.engine.update import measure
from adarts.errors import ConfigError
from adarts.methods import get_method, list_methods
from adarts.models import Network
from adarts.searching import run_search, search_config
from adarts.searching.monitors import truth
from adarts.spaces import CellGenotype, Genotype, get_space
from adarts.testing import at, carry_out
from adarts.truth import estimate_of, truth_of
from tiny import tiny_search

METHODS = [info.name for info in list_methods()]
LOOP = {"epochs": 2, "batch_size": 8, "steps": 3, "warmup_epochs": 1}


def defined(method: str, space: str) -> bool:
    return get_method(method).supports(get_space(space)) is None


def test_one_method_alone_is_not_defined_on_the_reduced_spaces() -> None:
    assert [method for method in METHODS if not defined(method, "s1")] == ["adarts-trials"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_searches_nasbench201(method: str) -> None:
    task = tiny_search(method, space="nasbench201", search=LOOP)
    moved = any(epoch.moved for epoch in carry_out(task))
    assert moved == (task.method.info.family == "gradient")
    found = task.genotype()
    assert found.space == "nasbench201" and found.has_text
    assert Network(found, num_classes=3, channels=4, cells=3)(torch.randn(2, 3, 16, 16)).shape == (2, 3)


@pytest.mark.parametrize(
    ("space", "method"),
    [("s1", method) for method in METHODS if defined(method, "s1")]
    + [("s4", "adarts"), ("s4", "trials"), ("s4", "rsps")],
)
def test_a_reduced_space_finds_what_it_allows(method: str, space: str) -> None:
    task = tiny_search(method, space=space, search=LOOP)
    task.step(1, 0)
    for kind, active_eo in task.supernet.active.items():
        assert not (active_eo & ~torch.tensor(get_space(space).allowed(kind))).any()
    task.genotype().require_within(get_space(space))


def test_an_edge_of_s1_computes_its_two_operations_alone() -> None:
    active = tiny_search("darts", space="s1").supernet.active
    assert {kind: own.sum(1).tolist() for kind, own in active.items()} == {"normal": [2] * 14, "reduction": [2] * 14}


def test_noise_is_a_function_of_the_step() -> None:
    one, two = (tiny_search("darts", space="s4") for _ in range(2))
    torch.rand(7)  # whatever was drawn before
    one.step(1, 0)
    torch.rand(7)
    two.step(1, 0)
    for a, b in zip(one.supernet.parameters(), two.supernet.parameters(), strict=True):
        assert torch.equal(a, b)
    x_bchw = torch.randn(2, 1, 16, 16)
    assert not torch.equal(one.supernet(x_bchw), one.supernet(x_bchw))


def test_a_cell_with_noise_is_computed_again_with_the_same_noise() -> None:
    plain, again = (
        tiny_search("darts", space="s4", supernet={"channels": 8, "cells": 3, "recompute": recompute})
        for recompute in (False, True)
    )
    for task in (plain, again):
        task.step(1, 0)
    for a, b in zip(plain.supernet.parameters(), again.supernet.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_network_with_noise_trains_and_measures_the_same_twice() -> None:
    node = (("noise", 0), ("sep_conv_3x3", 1))
    cell = CellGenotype((node,) * 4, (2, 3, 4, 5))
    network = Network(Genotype({"normal": cell, "reduction": cell}, "s4"), num_classes=3, channels=4, cells=3)
    images, labels = torch.randn(8, 3, 8, 8), torch.zeros(8, dtype=torch.long)
    network.eval()
    with torch.no_grad():
        first, second = (measure(network, [(images, labels)], lambda: None) for _ in range(2))
    assert network.draws and first == second


def test_every_epoch_says_what_the_cell_is_worth() -> None:
    task = tiny_search("darts", space="nasbench201", search=LOOP)
    task.go_to(0, 0)
    record = task.end_epoch(0, {"loss": 1.0, "correct": 1.0, "images": 1.0})
    known = truth_of(Genotype.from_dict(record["genotype"]))
    assert record["truth"]["cifar10"] == known.cifar10.test and record["truth"]["rank"] == known.cifar10.rank
    assert f"true accuracy {known.cifar10.test:.2f} %" in task.describe(record)
    assert "edge_margin" not in record, "no edge is left out there"
    other = tiny_search("darts", search=LOOP)
    other.go_to(0, 0)
    record = other.end_epoch(0, {"loss": 1.0, "correct": 1.0, "images": 1.0})
    estimate = estimate_of(Genotype.from_dict(record["genotype"]))
    assert record["truth"]["estimated"] and record["truth"]["cifar10"] == estimate.cifar10
    assert f"CIFAR-10: estimated accuracy {estimate.cifar10:.2f} %" in other.describe(record)


def test_cells_without_an_estimate_are_not_judged() -> None:
    pairs = (("sep_conv_3x3", 0), ("sep_conv_3x3", 1))
    for node, known in ((pairs, True), (pairs[:1], False)):
        cell = CellGenotype((pairs, pairs, pairs, node), (2, 3, 4, 5))
        found = truth(Genotype({"normal": cell, "reduction": cell}))
        assert (found is not None) == known


def test_a_sample_that_leaves_nothing_moves_nothing_and_does_not_end_the_search() -> None:
    """GDAS without constants may draw `none` on every edge into the last node: then the loss hangs on no alpha."""
    task = tiny_search("gdas", space="nasbench201", search=LOOP, options={"constants": False})
    with torch.no_grad():
        task.supernet.alphas["normal"][:, 0] = 1000.0
    at(task, 1)
    before = [alphas.detach().clone() for alphas in task.supernet.alpha_parameters()]
    sums = task.update("alphas")
    assert torch.isfinite(torch.as_tensor(sums["alphas_loss"]))
    assert all(torch.equal(a, b) for a, b in zip(before, task.supernet.alpha_parameters(), strict=True))


def test_the_passes_of_an_update_see_the_same_noise() -> None:
    task = at(tiny_search("darts", space="s4"), 1)
    x_bchw, y_b = task.batch("weights")
    arch_weights = task.method.expected_arch_weights(task)
    assert torch.equal(task.loss(x_bchw, y_b, arch_weights)[1], task.loss(x_bchw, y_b, arch_weights)[1])


def test_an_unknown_space_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="did you mean 'nasbench201'"):
        run_search(search_config(data="folder:nowhere", space="nasbench210", scale="smoke"))
