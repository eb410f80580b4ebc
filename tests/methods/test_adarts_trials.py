"""ADARTS with trials: which cells are tried, what a trial trains, and which cell it leaves."""

import copy

import pytest
import torch
from torch import nn

from adarts.errors import ConfigError
from adarts.methods.adarts_trials import AdartsTrials, candidates
from adarts.models import Network
from adarts.searching import SearchTask
from adarts.spaces import DARTS, NASBENCH201, Genotype, derive, never_none
from adarts.supernet import Supernet
from adarts.testing import moved, snapshot
from tiny import tiny_search


def tried(supernet: Supernet, seed: int = 0) -> tuple[dict[str, torch.Tensor], list[Genotype]]:
    """Operation weights drawn at random where operations are active, and the cells that they lead to."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        kind: (0.1 + torch.rand(active_eo.shape, generator=generator)) * active_eo
        for kind, active_eo in supernet.active.items()
    }
    return weights, candidates(supernet.space, weights, None)


def method_of(task: SearchTask) -> AdartsTrials:
    assert isinstance(task.method, AdartsTrials)
    return task.method


def run(task: SearchTask, begin: int, end: int) -> list[dict[str, object]]:
    """The records of some epochs."""
    records = []
    for epoch in range(begin, end):
        totals: dict[str, float] = {}
        for step in range(task.steps(epoch)):
            for name, value in task.step(epoch, step).items():
                totals[name] = totals.get(name, 0.0) + float(value)
        records.append(task.end_epoch(epoch, totals))
    return records


def short(space: str = "nasbench201") -> SearchTask:
    loop = {"epochs": 2, "warmup_epochs": 1}
    return tiny_search("adarts-trials", space=space, search=loop, options={"cells": 6, "epochs": 2})


@pytest.mark.parametrize("seed", range(3))
def test_the_cells_that_are_tried_where_every_edge_is_kept(seed: int) -> None:
    weights, (plain, *others) = tried(tiny_search("adarts-trials", space="nasbench201").supernet, seed)
    convolutions = {name: NASBENCH201.operations.index(name) for name in ("nor_conv_1x1", "nor_conv_3x3")}
    strongest = [max(convolutions, key=lambda name: row[convolutions[name]].item()) for row in weights["normal"]]

    def names(genotype: Genotype) -> list[str]:
        nodes = zip(NASBENCH201.targets, genotype.cells["normal"].nodes, strict=True)
        kept = {(source, target): name for target, node in nodes for name, source in node}
        return [kept[edge] for edge in NASBENCH201.edges]

    assert names(plain) == strongest
    assert [names(genotype) for genotype in others] == [
        [*strongest[:edge], "skip_connect", *strongest[edge + 1 :]] for edge in range(6)
    ]


def test_the_cells_that_are_tried_where_a_node_keeps_two_edges() -> None:
    task = tiny_search("adarts-trials", space="darts")
    weights, (plain, *others) = tried(task.supernet)
    assert len(others) == 14 and len(task.phases) == 16
    assert plain.num_weight_free("normal") == 0
    for (source, target), genotype in zip(DARTS.edges, others, strict=True):
        assert genotype.num_weight_free("normal") == 1
        assert ("skip_connect", source) in genotype.cells["normal"].nodes[target - 2]
        assert genotype.cells["reduction"] == derive(DARTS, weights, rule=never_none).cells["reduction"]


@pytest.mark.parametrize("space", ["s1", "s2", "s3", "s4"])
def test_a_space_that_leaves_nothing_to_choose_is_refused(space: str) -> None:
    with pytest.raises(ConfigError, match=f"not defined on the space '{space}': an edge of its normal cell has no"):
        tiny_search("adarts-trials", space=space)


def test_the_search_leaves_out_what_has_no_weights_in_the_normal_cell_alone() -> None:
    net = tiny_search("adarts-trials", space="darts").supernet
    left_out = {
        kind: {name for name, is_active in zip(net.space.operations, active_eo.any(0), strict=True) if not is_active}
        for kind, active_eo in net.active.items()
    }
    assert left_out == {"normal": set(net.space.weight_free), "reduction": {"none"}}


def test_a_trial_trains_the_cell_alone_with_fresh_weights_and_leaves_the_alphas() -> None:
    task = short()
    run(task, 0, 2)
    net, genotype = task.supernet, method_of(task).candidates[0]
    assert len(net.kinds) == 6 and net.design.k == 1 and not net.design.attention
    active_eo = net.active["normal"]
    assert (active_eo.sum(-1) == 1).all() and genotype == task.genotype()
    alphas = snapshot(net.alpha_parameters())
    first = net.weight_parameters()[0].detach().clone()
    task.step(2, 0)
    assert not any(moved(alphas, net.alpha_parameters()))
    # It is the network of the cell, whose normalizations have weights of their own besides.
    network = Network(genotype, num_classes=10, channels=8, cells=6, in_channels=1)
    norms = [m for name, m in network.named_modules() if name.startswith("cells.") and isinstance(m, nn.BatchNorm2d)]
    assert learning(net) == size(network) - sum(map(size, norms))
    run(task, 2, 4)
    assert not torch.equal(first, task.supernet.weight_parameters()[0])


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def learning(net: Supernet) -> int:
    """How many weights the last step moved."""
    masks = net.movable(None)
    weights = [p for p in net.weight_parameters() if p.grad is not None]
    return sum(int(masks[p].expand_as(p).sum()) if p in masks else p.numel() for p in weights)


def test_the_best_trial_is_the_cell_that_is_found() -> None:
    task = short()
    method = method_of(task)
    own = run(task, 0, 2)
    assert "method" not in own[0] and method.losses == []
    records = run(task, 2, task.epochs)
    assert len(records) == 14 and len(method.losses) == 7
    for record in records:  # the loss of a trial is that of the epoch
        assert record["method"]["loss"] == pytest.approx(record["train_loss"], rel=1e-6)  # type: ignore[index]
    best = method.losses.index(min(method.losses))
    assert task.genotype() == method.candidates[best]
    assert records[-1]["genotype"] == method.candidates[best].to_dict()
    # While they go on, the best so far.
    for number, record in enumerate(records[1::2], 1):
        leader = method.losses.index(min(method.losses[:number]))
        assert record["genotype"] == method.candidates[leader].to_dict()


def test_trials_go_on_in_another_process() -> None:
    task, other = short(), short()
    run(task, 0, 5)
    task.step(5, 0)
    other.load_state_dict(copy.deepcopy(task.state_dict()))
    for one in (task, other):
        one.step(5, 1)
    assert method_of(task).candidates == method_of(other).candidates
    assert method_of(task).losses == method_of(other).losses != []
    assert task.end_epoch(5, {"loss": 1.0, "correct": 1.0, "images": 1.0}) == other.end_epoch(
        5, {"loss": 1.0, "correct": 1.0, "images": 1.0}
    )
    assert len(method_of(other).losses) == 2
