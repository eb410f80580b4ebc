"""SNAS: its samples, its price, and that one pass trains everything."""

import math

import pytest
import torch

from adarts.methods import Progress
from adarts.methods.snas import Snas, price, prices
from adarts.spaces import DARTS
from adarts.supernet.edges import factors_of_operations, node_sum
from adarts.supernet.plan import CellPlan
from tiny import tiny_search


def test_lambda_falls_from_1_to_0_03() -> None:
    method = Snas(Snas.Options())
    assert [method.temperature(Progress(0, epoch, 150, 1)) for epoch in (0, 75, 150)] == pytest.approx([1, 0.515, 0.03])
    assert method.temperature(Progress(0, 1, 2, 1)) == pytest.approx(0.515)


def test_the_alphas_begin_at_1_with_a_deviation_of_0_01_from_the_seed() -> None:
    alphas = torch.cat(tiny_search("snas").supernet.alpha_parameters())
    assert alphas.mean().item() == pytest.approx(1, abs=3e-3) and alphas.std().item() == pytest.approx(0.01, rel=0.2)
    assert torch.equal(alphas, torch.cat(tiny_search("snas").supernet.alpha_parameters()))


def public(name: str, c: int, stride: int, side: int) -> tuple[int, int, int]:
    """Size, multiply-adds and access of the operations that the public code gives a closed form for, at even sides."""
    y = side // stride
    family, _, k = name.partition("_conv_")
    if name == "none":
        return 0, 0, 0
    if "pool" in name:
        return 0, 9 * y * y * c, (stride**2 + 1) * y * y * c
    if name == "skip_connect":
        return 0, 0, 2 * c * y * y
    size = int(k[0]) ** 2 * c + c * c
    if family == "dil":
        return size, size * y * y, ((stride**2 - 1) + 4) * y * y * c + size
    return 2 * size, 2 * size * y * y, ((stride**2 - 1) + 8) * y * y * c + 2 * size


def test_the_price_is_the_public_code_s() -> None:
    task = tiny_search("snas")
    weights = task.supernet.operation_weights()
    for kind, prices_leoc in prices(task.supernet, (16, 16)).items():
        total = 0.0
        # Cells of kind normal, reduction, reduction.
        places = [(8, 16)] if kind == "normal" else [(16, 16), (32, 8)]
        for cell, (channels, side) in enumerate(places):
            for edge, (source, _) in enumerate(DARTS.edges):
                stride = 2 if kind == "reduction" and source < 2 else 1
                here = side // 2 if kind == "reduction" and source >= 2 else side
                sums = [0.0, 0.0, 0.0]
                for index, name in enumerate(DARTS.operations):
                    known = public(name, channels, stride, here)
                    if (
                        name == "skip_connect" and stride == 2
                    ):  # its second convolution reads a smaller image in the public code
                        known = tuple(prices_leoc[cell, edge, index].tolist())
                        assert known[0] == channels**2 and known[1] == known[0] * (side // 2) ** 2
                    assert prices_leoc[cell, edge, index].tolist() == list(known), (kind, cell, edge, name)
                    weight = weights[kind][edge, index].item()
                    sums = [s + weight * value for s, value in zip(sums, known, strict=True)]
                total += sum(math.log(max(1, s)) for s in sums) / 3
        assert price(weights[kind], prices_leoc).item() == pytest.approx(total / len(places), rel=1e-5)


def test_nothing_costs_nothing() -> None:
    task = tiny_search("snas")
    nothing_eo = torch.eye(8)[:1].expand(14, -1)
    assert all(price(nothing_eo, prices_leoc) == 0 for prices_leoc in prices(task.supernet, (16, 16)).values())


def test_one_pass_over_all_images_moves_weights_and_alphas() -> None:
    task = tiny_search("snas")
    assert len(task.weight_batches.indices) == 40 and task.steps(0) == 5
    alphas, weight = (p.detach().clone() for p in (task.supernet.alphas["normal"], task.supernet.stem.conv.weight))
    sums = task.step(0, 0)
    assert torch.equal(alphas, task.supernet.alphas["normal"])  # warm-up
    assert not torch.equal(weight, task.supernet.stem.conv.weight) and "alphas_loss" not in sums
    task.step(1, 0)
    assert not torch.equal(alphas, task.supernet.alphas["normal"])
    # Scale `paper` validates the supernet; here no image is held out for that.
    task = tiny_search("snas", search={"epochs": 4, "batch_size": 8, "warmup_epochs": 1, "validate_supernet": True})
    assert not task.validates


def test_the_price_reaches_the_alphas_and_makes_the_cells_cheaper() -> None:
    def paid(eta: float) -> float:
        task = tiny_search("snas", options={"eta": eta}, alphas={"learning_rate": 0.5})
        for step in range(4):
            task.step(1, step)
        weights = task.supernet.operation_weights()
        return sum(price(weights[kind], table).item() for kind, table in prices(task.supernet, (16, 16)).items())

    assert paid(10.0) < 0.9 * paid(0.0)


@pytest.mark.parametrize("edge", [{}, {"selector": "attention", "k": 4, "attention": True}], ids=["all", "partial"])
def test_drop_path_leaves_out_whole_edges_of_single_images(edge: dict[str, object]) -> None:
    """With linear operations, the output of an edge is either 0 or 1 / 0.7 times what it is without drop path."""
    net = tiny_search("snas", edge=edge).supernet.train()
    source, seen = net.cells[0].sources[1], []
    x_bchw = torch.randn(64, 8, 6, 6)
    weight_eo = torch.full((source.num_edges, 8), 0.125)
    groups = net._groups("normal", None)
    for drop_path in (0.0, 0.3, 0.3):
        torch.manual_seed(len(seen) // 2)
        gain_on = factors_of_operations(weight_eo, None, source.selected)
        addends, *_ = source(x_bchw, gain_on, None, None, 1, CellPlan(groups, drop_path=drop_path), [])
        seen.append(torch.stack([node_sum([addend]) for addend in addends]))
    whole, once, again = seen
    kept_eb = once.flatten(2).any(2)
    factor_eb = kept_eb / 0.7
    torch.testing.assert_close(once, whole * factor_eb[:, :, None, None, None], rtol=1e-5, atol=1e-6)
    assert 0.6 < kept_eb.float().mean() < 0.8 and not torch.equal(kept_eb[0], kept_eb[1])
    assert not torch.equal(once, again)


def test_drop_path_is_for_training_and_recomputation_draws_the_same() -> None:
    task, other = tiny_search("snas"), tiny_search("snas", supernet={"channels": 8, "cells": 3, "recompute": True})
    assert task.method.arch_weights(task, "both", *task.batch("both")).drop_path == 0.3
    assert task.method.expected_arch_weights(task).drop_path == 0
    for search in (task, other):
        search.step(1, 0)
    assert all(torch.equal(*pair) for pair in zip(task.supernet.parameters(), other.supernet.parameters(), strict=True))
    without = tiny_search("snas", options={"drop_path": 0.0})
    without.step(1, 0)
    assert not torch.equal(without.supernet.stem.conv.weight, task.supernet.stem.conv.weight)
