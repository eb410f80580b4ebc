"""P-DARTS: stages, their dropout, and the bound on skip connections."""

import math

import pytest
import torch

from adarts.config.settings import SearchConfig, SupernetSettings
from adarts.methods import Progress, create, get_method
from adarts.methods.p_darts import derive_with_few_skips
from adarts.methods.stages import skip_dropout
from adarts.searching import search_config
from adarts.spaces import DARTS, NASBENCH201, derive
from tiny import tiny_search

SKIP, SEP = (DARTS.operations.index(name) for name in ("skip_connect", "sep_conv_3x3"))
TOTALS = {"loss": 1.0, "correct": 1.0, "images": 1.0}


@pytest.mark.parametrize(("cells", "depths"), [(5, [5, 11, 17]), (3, [3, 7, 10]), (8, [8, 18, 27])])
def test_the_stages_are_as_deep_as_published_in_proportion(cells: int, depths: list[int]) -> None:
    task = tiny_search("p-darts", supernet={"channels": 4, "cells": cells})
    assert [phase.supernet.cells for phase in task.phases] == depths
    assert all(phase.fresh for phase in task.phases) and task.epochs == 12


@pytest.mark.parametrize(("cells", "depths"), [(15, [3, 9, 15]), (3, [3, 3, 3]), (5, [3, 3, 5]), (17, [6, 12, 17])])
def test_no_stage_is_deeper_than_the_network_of_a_space_with_residual_blocks(cells: int, depths: list[int]) -> None:
    config = SearchConfig(method="p-darts", space="nasbench201", supernet=SupernetSettings(cells=cells))
    phases = get_method("p-darts")(get_method("p-darts").Options()).phases(config, NASBENCH201)
    assert [phase.supernet.cells for phase in phases] == depths


def test_the_stages_at_scale_paper() -> None:
    found = {}
    for space in (DARTS, NASBENCH201):
        config = search_config(method="p-darts", space=space.name, scale="paper")
        found[space.name] = [phase.supernet.cells for phase in create(config).phases(config, space)]
    assert found == {"darts": [5, 11, 17], "nasbench201": [3, 9, 15]}


def dropout(epoch: int, epochs: int = 25, warmup: int = 10) -> float:
    return skip_dropout(0.7, Progress(0, epoch, epochs, 1, warmup), 15)


def test_the_published_points_of_the_dropout() -> None:
    assert dropout(0) == 0.7 * 24 / 25 and dropout(9) == 0.7 * 15 / 25
    assert dropout(10) == 0.7
    assert dropout(24) == 0.7 * math.exp(-0.2 * 14) == pytest.approx(0.7 * math.exp(-2.8))


def test_a_shorter_stage_runs_through_the_same_dropout() -> None:
    assert dropout(4, 10, 4) == 0.7
    assert dropout(6, 10, 4) == pytest.approx(dropout(15))  # a third of what is behind the warm-up
    assert dropout(1, 2, 1) == 0.7 and dropout(0, 1, 0) == 0.7


def test_every_stage_keeps_the_strongest_operations_of_the_one_before() -> None:
    task = tiny_search("p-darts", search={"epochs": 1, "batch_size": 8, "warmup_epochs": 0})
    draws = torch.Generator().manual_seed(0)
    kept = [list(range(8))] * 14
    for stage, count in enumerate((8, 5, 3)):
        net = task.supernet
        assert [row.nonzero().flatten().tolist() for row in net.active["reduction"]] == kept
        assert net.active["normal"].sum(1).tolist() == [count] * 14
        assert net.alphas["reduction"].abs().max() < 0.01  # fresh
        alpha_eo = torch.randn(14, 8, generator=draws)
        with torch.no_grad():
            net.alphas["reduction"].copy_(alpha_eo)
        ranked = [sorted(row, key=lambda o: -float(alpha_o[o])) for row, alpha_o in zip(kept, alpha_eo, strict=True)]
        kept = [sorted(row[: {8: 5, 5: 3, 3: 3}[count]]) for row in ranked]
        task.end_epoch(stage, dict(TOTALS))
    best = [next(o for o in row if o != 0) for row in ranked]  # `none` goes first
    for target, pairs in zip(DARTS.targets, task.genotype().cells["reduction"].nodes, strict=True):
        for operation, source in pairs:
            assert operation == DARTS.operations[best[DARTS.edges.index((source, target))]]


def hand_made(skips: list[int]) -> dict[str, torch.Tensor]:
    """sep_conv_3x3 at 0.3 on all edges; a skip connection above it on some, the weaker the later."""
    weights_eo = torch.zeros(14, 8)
    weights_eo[:, SEP] = 0.3 + 0.001 * torch.arange(14)
    for rank, edge in enumerate(skips):
        weights_eo[edge, SKIP] = 0.9 - 0.1 * rank
    return {"normal": weights_eo, "reduction": weights_eo.clone()}


def test_the_weakest_skips_give_way_until_few_enough_are_left() -> None:
    # Edges 0, 1 enter node 2; 2 to 4 node 3; 5 to 8 node 4.
    weights = hand_made([0, 2, 3, 5])
    assert derive(DARTS, weights).num_operations("normal", "skip_connect") == 4
    genotype = derive_with_few_skips(DARTS, weights, None, 2)
    assert genotype.num_operations("normal", "skip_connect") == 2
    node2, node3, node4, _ = genotype.cells["normal"].nodes
    assert set(node2) == {("skip_connect", 0), ("sep_conv_3x3", 1)}
    # Without its skip, edge 3 is weaker than edge 4: the edges are chosen anew as well.
    assert node3 == (("skip_connect", 0), ("sep_conv_3x3", 2))
    assert node4 == (("sep_conv_3x3", 3), ("sep_conv_3x3", 2))
    assert genotype.cells["reduction"] == derive(DARTS, weights).cells["reduction"]
    assert weights["normal"][5, SKIP] > 0  # the weights themselves stay as they are


def test_a_skip_that_takes_the_place_of_another_counts_as_well() -> None:
    weights = hand_made([0, 1, 2, 3, 4])  # node 3: edge 4 follows when 2 or 3 go
    genotype = derive_with_few_skips(DARTS, weights, None, 0)
    assert genotype.num_operations("normal", "skip_connect") == 0
    assert derive_with_few_skips(DARTS, weights, None, 8) == derive(DARTS, weights)


def test_an_update_drops_in_the_second_stage_and_a_measurement_does_not() -> None:
    task = tiny_search("p-darts", search={"epochs": 1, "batch_size": 8, "warmup_epochs": 0})
    task.end_epoch(0, dict(TOTALS))
    task.go_to(1, 0)
    x_bchw, y_b = task.batch("weights")
    arch_weights = task.method.arch_weights(task, "weights", x_bchw, y_b)
    assert arch_weights.skip_dropout == 0.4
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(task.loss(x_bchw, y_b, arch_weights)[0].item())
    assert losses[0] == losses[1] != losses[2]
    assert task.method.expected_arch_weights(task).skip_dropout == 0
