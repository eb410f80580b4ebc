"""DARTS-PT: what is decided, when, and by which measurement."""

import copy
from typing import Any

import pytest
import torch

from adarts.errors import Stopped
from adarts.methods import create
from adarts.methods.darts_pt import DartsPt
from adarts.searching import SearchTask
from adarts.spaces import DARTS
from adarts.supernet import ArchWeights
from tiny import tiny_search

TOTALS = {"loss": 1.0, "correct": 1.0, "images": 1.0}
ATTENTION = {"selector": "attention", "k": 4, "attention": True, "normalization": True}


def search(epochs: int = 1, **changes: object) -> SearchTask:
    loop = {"epochs": epochs, "batch_size": 8, "warmup_epochs": 0}
    return tiny_search("darts-pt", search=loop, images={"per_class": 2, "size": 8}, **changes)


def decide(task: SearchTask, epochs: range) -> list[dict[str, Any]]:
    return [task.end_epoch(epoch, dict(TOTALS))["method"] for epoch in epochs]


def test_the_published_search_is_tuned_for_eighty_epochs() -> None:
    task = search(50)
    first, second = task.phases
    assert (first.epochs, second.epochs) == (50, 80)
    assert not second.fresh and second.warmup_epochs == 0
    task.end_epoch(49, dict(TOTALS))
    task.go_to(50, 0)
    assert task.rate == pytest.approx(0.0025)
    assert task.learning_rate(90) == pytest.approx((0.0025 + 0.001) / 2) and task.learning_rate(130) == 0.001


def test_the_published_search_in_nasbench201_is_tuned_for_25_epochs_at_one_rate() -> None:
    task = search(100, space="nasbench201")
    assert [phase.epochs for phase in task.phases] == [100, 25]
    task.enter(1)
    assert {task.learning_rate(epoch) for epoch in range(100, 125)} == {0.0025}


def test_none_may_stay_where_it_may_be_derived() -> None:
    """Where cells may have `none`, its absence is measured like that of any operation."""
    for space in ("nasbench201", "s3"):
        task = search(space=space)
        (record,) = decide(task, range(1))
        assert ("none" in record["normal"]["accuracy_without"]) == (space == "nasbench201")


def test_decisions_follow_the_search_and_then_every_tuning() -> None:
    task = search(50)
    due = []
    for epoch in range(130):
        if epoch == 50:
            task.enter(1)
        task.go_to(epoch, 0)
        if (number := task.method._decision(task)) is not None:
            due.append((epoch, number))
    assert due == [(49 + 5 * number, number) for number in range(17)]


def test_the_operation_stays_whose_absence_hurts_most() -> None:
    task = search()
    net = task.supernet
    with torch.no_grad():
        net.alphas["normal"].copy_(torch.randn(14, 8, generator=torch.Generator().manual_seed(0)))
    (record,) = decide(task, range(1))
    edge, kept = record["normal"]["edge"], record["normal"]["operation"]
    accuracies = record["normal"]["accuracy_without"]
    assert list(accuracies) == [name for name in DARTS.operations if name != "none"]
    assert accuracies[kept] == min(accuracies.values())
    assert net.active["normal"].sum(1).tolist() == [1 if row == edge else 7 for row in range(14)]
    assert net.active["normal"][edge, DARTS.operations.index(kept)]


def test_what_is_taken_away_leaves_the_other_weights_as_they_are() -> None:
    """As if everything were computed, with a weight of 0."""
    task = search()
    method, net = task.method, task.supernet
    assert isinstance(method, DartsPt)
    with torch.no_grad():
        net.alphas["normal"].copy_(torch.randn(14, 8, generator=torch.Generator().manual_seed(0)))
    weights = net.operation_weights()
    for operation in (3, 4):
        probe_eo = net.active["normal"].clone()
        probe_eo[2, operation] = False
        accuracy, negative_loss = method._measure(task, "normal", probe_eo)
        loss, expected = task.measure(ArchWeights({**weights, "normal": weights["normal"] * probe_eo}))
        assert accuracy == expected and -negative_loss == pytest.approx(loss, rel=1e-5)


@pytest.mark.full
def test_in_the_end_every_node_has_two_edges_with_one_operation() -> None:
    task = search()
    records = decide(task, range(task.epochs))
    net, genotype = task.supernet, task.genotype()
    for kind in DARTS.cell_kinds:
        decisions = [record[kind] for record in records]
        assert sorted(decision["edge"] for decision in decisions[:14]) == list(range(14))
        assert sorted(decision["node"] for decision in decisions[14:]) == [3, 4, 5]
        active_eo = net.active[kind]
        assert not active_eo[:, 0].any() and active_eo.sum(1).max() == 1
        chosen = {decision["edge"]: decision["operation"] for decision in decisions[:14]}
        for target, pairs in zip(DARTS.targets, genotype.cells[kind].nodes, strict=True):
            edges = [row for row in DARTS.incoming(target) if active_eo[row].any()]
            assert len(edges) == 2
            assert set(pairs) == {(chosen[row], DARTS.edges[row][0]) for row in edges}
    orders = [[record[kind]["edge"] for record in records[:14]] for kind in DARTS.cell_kinds]
    assert orders[0] != orders[1]


def test_an_edge_goes_whose_absence_hurts_least() -> None:
    """With partial connection: nothing of it may bypass the operations, either."""
    task = search(edge=ATTENTION)
    net, rows = task.supernet, [[operation == 4 for operation in range(8)]] * 14
    for kind in DARTS.cell_kinds:
        net.set_active(kind, rows)
    task.enter(1)
    for record in decide(task, range(14, 17)):
        for decision in record.values():
            rounds = decision["accuracy_without"]
            left = [{int(edge) for edge in measured} for measured in rounds] + [set(decision["edges"])]
            assert left[0] == set(DARTS.incoming(decision["node"]))
            for measured, before, after in zip(rounds, left, left[1:], strict=False):
                (gone,) = before - after
                assert measured[str(gone)] == max(measured.values())
    weights, beta = task.method.edge_weights(net), net.edge_weights()
    assert weights is not None and beta is not None
    for kind in DARTS.cell_kinds:
        there_e = net.active[kind].any(1)
        assert there_e.sum() == 8
        assert torch.equal(weights[kind], torch.where(there_e, beta[kind], 0.0))
    task.step(16, 0)


def test_an_interrupted_decision_is_made_again() -> None:
    task, other = search(), search()
    other.load_state_dict(copy.deepcopy(task.state_dict()))
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 10:  # in the middle of the second kind of cells
            raise Stopped("asked", exit_code=3)

    task.check_stop = stop
    with pytest.raises(Stopped):
        task.end_epoch(0, dict(TOTALS))
    assert all(active[:, 1:].all() for active in task.supernet.active.values())
    task.check_stop = lambda: None
    assert task.end_epoch(0, dict(TOTALS)) == other.end_epoch(0, dict(TOTALS))


def test_fixed_alphas_stay_at_zero() -> None:
    task = search()
    config = task.config.model_copy(update={"options": {"fixed_alphas": True, "with_none": False}})
    blank = SearchTask(config, task.data, create(config), task.device)
    assert isinstance(blank.method, DartsPt)
    assert "alphas_loss" not in blank.step(0, 0)
    assert not any(alphas.any() for alphas in blank.supernet.alpha_parameters())
    weights_eo = blank.supernet.operation_weights()["normal"]
    assert torch.equal(weights_eo[:, 1:], torch.full((14, 7), 1 / 7)) and not weights_eo[:, 0].any()
