"""What is refused before a search begins, and where the schedules and phases of a method stand."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from adarts.config.settings import EdgeDesign, SearchConfig, SupernetSettings
from adarts.engine.forecast import forecast
from adarts.errors import ConfigError
from adarts.methods import Method, MethodInfo, Phase, Progress, create
from adarts.searching import SearchTask
from adarts.searching.phases import checked_phases, scheduled_together
from adarts.searching.search import planned_steps
from adarts.spaces import CellGenotype, Genotype
from adarts.testing import CPU
from tiny import tiny_search


def test_a_schedule_begins_behind_the_warm_up() -> None:
    progresses = [Progress(0, epoch, 8, 1, warmup_epochs=3) for epoch in range(8)]
    assert [progress.fraction for progress in progresses] == [0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8]
    assert [progress.fraction_to_last for progress in progresses] == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1]
    assert [progress.past_warmup for progress in progresses] == [False] * 3 + [True] * 5
    assert Progress(0, 1, 2, 1, warmup_epochs=1).fraction_to_last == 0  # the only epoch


def test_the_methods_that_follow_the_warm_up() -> None:
    search = tiny_search("gdas", search={"epochs": 6, "batch_size": 8, "warmup_epochs": 3})
    found = []
    for epoch in range(6):
        search.go_to(epoch, 0)
        found.append(search.progress.line(10, 0.1))
    assert found == pytest.approx([10, 10, 10, 10, 5.05, 0.1])


def test_phases_that_continue_share_a_schedule_with_the_one_before() -> None:
    alone = Phase(5, 0, SupernetSettings(), EdgeDesign())
    phases = [alone, replace(alone, epochs=3), replace(alone, continues=True), replace(alone, epochs=2)]
    spans = [scheduled_together(phases, index) for index in range(4)]
    assert spans == [range(5), range(5, 13), range(5, 13), range(13, 15)]


def test_every_phase_is_tried_before_the_first_begins() -> None:
    changes = {"edge": {"k": 3}, "supernet": {"channels": 16, "cells": 3}}
    with pytest.raises(ConfigError, match=r"phase 2 of method 'dr-nas': edge\.k = 3 does not divide the 16 channels"):
        tiny_search("dr-nas", edge={"k": 3}, supernet={"channels": 16, "cells": 3})
    config = SearchConfig.model_validate({"method": "adarts", **changes})
    with pytest.raises(ConfigError, match=r"^edge.k = 3 does not divide"):
        checked_phases(config, create(config))


def test_a_phase_that_is_all_warm_up_is_refused() -> None:
    class Waiting(Method):
        info = MethodInfo("waiting", "", 2026, "", "", "")

        def phases(self, config, space):  # type: ignore[no-untyped-def]
            return Phase(5, 0, config.supernet, config.edge), Phase(2, 2, config.supernet, config.edge)

    with pytest.raises(ConfigError, match="phase 2 of method 'waiting': all 2 epochs are warm-up"):
        checked_phases(SearchConfig(), Waiting(Waiting.Options()))


class Elsewhere(Method):
    """Derives what a test wants."""

    info = MethodInfo("elsewhere", "", 2026, "", "", "")
    found: ClassVar[Genotype]

    def derive(self, supernet):  # type: ignore[no-untyped-def]
        return self.found


def cells(operation: str = "sep_conv_3x3", nodes: int = 4) -> Genotype:
    node = ((operation, 0), ("skip_connect", 1))
    return Genotype({kind: CellGenotype((node,) * nodes, (2, 3)) for kind in ("normal", "reduction")})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (cells("sep_conv_7x7"), "the edge from node 0 to node 2 of the normal cell has the operation 'sep_conv_7x7'"),
        (cells("none"), "the edge from node 0 to node 2 of the normal cell has the operation 'none'"),
        (cells(nodes=5), "the normal cell has 5 nodes; cells of 'darts' have 4"),
    ],
)
def test_cells_outside_the_space_are_refused_with_the_method_and_the_edge(found: Genotype, message: str) -> None:
    task = tiny_search()
    task.method = Elsewhere(Elsewhere.Options())
    Elsewhere.found = found
    with pytest.raises(ConfigError, match=f"method 'elsewhere' derives cells outside the space: {message}"):
        task.genotype()


def test_a_search_that_stops_at_the_end_of_a_phase_keeps_its_supernet() -> None:
    task = tiny_search("p-darts", search={"epochs": 1, "batch_size": 8, "warmup_epochs": 0})
    totals = {"loss": 1.0, "correct": 1.0, "images": 1.0}
    net = task.supernet
    with torch.no_grad():
        net.alphas["normal"][:, 4] = 5.0
    task.go_to(0, 0)
    task.stop("enough")
    record = task.end_epoch(0, totals)
    assert task.supernet is net and task.epochs == 1
    assert task.genotype().to_dict() == record["genotype"]


def test_fair_darts_says_when_no_alpha_can_reach_the_threshold() -> None:
    short = tiny_search("fair-darts")
    said = short.method.budget_warning(short)
    assert said is not None and "the threshold of 0.85" in said
    rate = float(said.split("use a learning rate of ")[1].split(" ")[0])
    enough = tiny_search("fair-darts", alphas={"learning_rate": rate})
    assert enough.method.budget_warning(enough) is None


def assert_equal_steps(one: SearchTask, two: SearchTask, epoch: int) -> None:
    for task in (one, two):
        task.step(epoch, 0)
    a, b = one.state_dict(), two.state_dict()
    assert all(torch.equal(tensor, b["supernet"][name]) for name, tensor in a["supernet"].items())
    assert (a["phase"], a["active"], a["method"]) == (b["phase"], b["active"], b["method"])
    assert one.genotype() == two.genotype()


@pytest.mark.parametrize("method", ["p-darts", "dr-nas", "darts-pt", "darts"])
def test_the_forecast_is_of_all_phases_and_leaves_nothing_behind(method: str) -> None:
    task, untouched = (tiny_search(method, search={"epochs": 2, "batch_size": 8, "warmup_epochs": 1}) for _ in range(2))
    planned: list[tuple[int, int]] = []

    def plan() -> Iterator[tuple[int, int]]:
        for epoch, steps in planned_steps(task):
            planned.append((task.progress.phase, steps))
            yield epoch, steps

    found = forecast(task, CPU, plan())
    assert "minutes" in found
    for index, phase in enumerate(task.phases):
        assert sum(steps for number, steps in planned if number == index) == phase.epochs * task.steps(0)
    for epoch in range(2):
        assert_equal_steps(task, untouched, epoch)


def test_a_later_phase_that_cannot_be_measured_is_not_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tiny_search("p-darts", search={"epochs": 1, "batch_size": 8, "warmup_epochs": 0})
    step = task.step

    def failing(epoch: int, number: int) -> Mapping[str, Tensor | float]:
        if task.progress.phase:
            raise RuntimeError("not enough memory")
        return step(epoch, number)

    monkeypatch.setattr(task, "step", failing)
    assert forecast(task, CPU, planned_steps(task)) == "not known" and task.progress.phase == 0
