"""RobustDARTS: when it stops, where it goes back to, and that measuring changes nothing."""

from __future__ import annotations

import copy

import pytest
import torch

from adarts.errors import Stopped
from adarts.methods import create
from adarts.methods.robust_darts import RobustDarts
from adarts.searching import SearchTask
from adarts.spaces import DARTS, Genotype, random_genotype
from tiny import tiny_search

ATTENTION = {"selector": "attention", "k": 2, "attention": True, "normalization": True}


def method(**options: object) -> RobustDarts:
    return RobustDarts(RobustDarts.Options(**options))  # type: ignore[arg-type]


def search(**options: object) -> SearchTask:
    return tiny_search(
        "robust-darts",
        edge=ATTENTION,
        supernet={"channels": 4, "cells": 3},
        images={"per_class": 2, "size": 8},
        search={"epochs": 4, "batch_size": 4, "warmup_epochs": 1},
        options={"second_order": False, **options},
    )


def test_epochs_are_the_published_ones_and_shorter_searches_scale_them() -> None:
    assert [method().schedule(epochs) for epochs in (50, 25, 10, 2, 100)] == [(2, 10), (1, 5), (1, 2), (1, 0), (4, 20)]


@pytest.mark.parametrize(("growth", "stops_at"), [(1.06, None), (1.08, 22)])
def test_the_first_epoch_at_which_a_growing_curvature_stops_a_search(growth: float, stops_at: int | None) -> None:
    """1.06^4 = 1.26 and 1.08^4 = 1.36; the first mean that may be gone back to is that around epoch 10."""
    own = method()
    every, earliest = own.schedule(50)
    stopped = None
    for epoch in range(0, 50, every):
        own.measured.append({"epoch": epoch, "eigenvalue": growth ** (epoch // every)})
        kept, ratio = own.sharpened(earliest)
        if kept is not None:
            stopped = epoch
            assert own.measured[kept]["epoch"] == 10
            assert ratio == pytest.approx(growth**4)
            break
    assert stopped == stops_at


def test_a_search_that_stops_goes_back_and_stays_there_after_a_resume() -> None:
    task = search(window=1, back=1, earliest=0)
    cells = random_genotype(DARTS, seed=3).to_dict()
    assert isinstance(task.method, RobustDarts)
    task.method.measured = [{"epoch": 0, "eigenvalue": 1e-9, "genotype": cells}]
    totals: dict[str, float] = {}
    for step in range(task.steps(2)):
        for name, value in task.step(2, step).items():
            totals[name] = totals.get(name, 0.0) + float(value)
    resumed = search(window=1, back=1, earliest=0)
    resumed.load_state_dict(copy.deepcopy(task.state_dict()))
    record = task.end_epoch(2, totals)
    assert task.epochs == 3 and record["genotype"] == cells and task.genotype() == Genotype.from_dict(cells)
    assert record["method"]["eigenvalue"] > 0
    assert task.stopped is not None and task.stopped.endswith("returning to the cells of epoch 2")
    assert task.stopped in task.describe(record)
    assert resumed.end_epoch(2, totals) == record
    later = search(window=1, back=1, earliest=0)
    later.load_state_dict(copy.deepcopy(task.state_dict()))
    assert later.epochs == 3 and later.stopped == task.stopped and later.genotype() == task.genotype()


def test_measuring_changes_nothing_even_when_it_is_interrupted() -> None:
    task = search()
    task.step(1, 0)
    assert isinstance(task.method, RobustDarts)
    before = copy.deepcopy(task.supernet.state_dict())
    task.supernet.eval()  # as after a validation
    first = task.method.curvature(task)
    assert first == task.method.curvature(task) > task.config.alphas.weight_decay
    calls = iter(range(5))

    def stop() -> None:
        if next(calls, None) is None:
            raise Stopped("asked to stop", 130)

    task.check_stop = stop
    with pytest.raises(Stopped):
        task.method.curvature(task)
    for name, tensor in task.supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_frozen_alphas_are_not_measured_and_the_batch_stays_the_same() -> None:
    one, two = search(), search()
    assert one.method.on_epoch_end(one) == {}
    for task in (one, two):
        task.go_to(1, 0)
    two.go_to(2, 0)
    assert isinstance(one.method, RobustDarts) and isinstance(two.method, RobustDarts)
    assert one.method.curvature(one) == two.method.curvature(two)


def test_the_alphas_look_ahead_unless_told_otherwise() -> None:
    assert tiny_search("robust-darts").method.alpha_batches == ("alphas", "weights")
    assert create(search().config).alpha_batches == ("alphas",)
