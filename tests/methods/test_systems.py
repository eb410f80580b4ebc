"""CARS, ENAS and AmoebaNet: what their steps train, and what their searchers learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import adarts
from adarts.errors import DataError
from adarts.methods import get_method
from adarts.searching import SearchTask
from adarts.spaces import NASBENCH201, neighbors
from adarts.testing import carry_out, small_search
from adarts.training.model import resolve_genotype

FEW = {
    "space": "nasbench201",
    "images": {"per_class": 4, "size": 8},
    "search": {"epochs": 2, "warmup_epochs": 1, "steps": 3},
}


def searched(method: str, **changes: object) -> SearchTask:
    return small_search(get_method(method), FEW, changes)


def end_epoch(search: SearchTask, epoch: int) -> None:
    for step in range(search.steps(epoch)):
        sums = search.step(epoch, step)
    search.end_epoch(epoch, dict(sums))


def trained(search: SearchTask, epoch: int) -> list[object]:
    """The masks that the steps of an epoch train."""
    found = []
    for step in range(search.steps(epoch)):
        search.step(epoch, step)
        found.append(search._arch_weights.active["normal"].tolist())
    return found


def test_cars_trains_random_cells_in_the_warm_up_and_then_its_population() -> None:
    search = searched("cars", search={"warmup_epochs": 1, "steps": 8})
    members = [cell.mask("normal") for cell in search.method.searcher.population]
    assert any(mask not in members for mask in trained(search, 0))
    assert all(mask in members for mask in trained(search, 1))


def test_the_front_of_cars_is_that_of_the_last_generation() -> None:
    search = searched("cars", options={"population": 8})
    carry_out(search)
    front, measured = search.method.front(), search.method.trials
    assert len(measured) == 16 and all(trial in measured for trial in front)
    assert [trial.score.size for trial in front] == sorted(trial.score.size for trial in front)
    for trial in measured:
        better = [f for f in front if f.score.value >= trial.score.value and f.score.size <= trial.score.size]
        assert better
    assert search.genotype() == front[-1].genotype  # the largest one of a front is the most accurate


def test_the_controller_of_enas_writes_the_paths_and_learns_after_every_epoch() -> None:
    search = searched("enas", options={"cells": 4})
    before = [p.clone() for p in search.method.searcher.controller.parameters()]
    assert len({str(mask) for mask in trained(search, 0)}) > 1
    asked = [search.method.searcher.ask(number) for number in range(4)]
    end_epoch(search, 0)
    assert [trial.genotype for trial in search.method.trials][:2] == asked[
        :2
    ]  # after two trials the controller has learned
    after = list(search.method.searcher.controller.parameters())
    assert any(not old.equal(now) for old, now in zip(before, after, strict=True))


def test_the_children_of_amoebanet_differ_from_the_winner_in_one_place() -> None:
    search = searched(
        "amoebanet", options={"cells": 6, "population": 2, "sample": 2, "replacement": False, "identity": 0.0}
    )
    carry_out(search)
    trials = search.method.searcher.trials
    for number in range(2, 6):
        winner = max(trials[number - 2 : number], key=lambda trial: trial.score.value).genotype
        assert trials[number].genotype in set(neighbors(winner, NASBENCH201))


@pytest.mark.parametrize("method", ["amoebanet", "nasnet", "genetic-cnn", "hierarchical", "enas", "cars"])
def test_the_options_of_the_searcher_are_those_of_the_method(method: str) -> None:
    of_searcher = get_method(method).searcher_class.Options.model_fields
    search = searched(method)
    assert of_searcher and {name: getattr(search.method.searcher.options, name) for name in of_searcher} == {
        name: getattr(search.method.options, name) for name in of_searcher
    }


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("cars") / "run"
    few = {name: value for name, value in FEW.items() if name != "space"}
    adarts.search(
        data="digits", method="cars", scale="smoke", space="nasbench201", run={"run_dir": run, "threads": 1}, **few
    )
    return run


def test_a_front_is_a_result(front: Path) -> None:
    cells = json.loads((front / "front.json").read_text())["cells"]
    chosen = resolve_genotype(f"{front}:{len(cells) - 1}")
    assert chosen == resolve_genotype(str(front)) and chosen.to_dict() == cells[-1]["genotype"]
    page = (front / "report.html").read_text()
    assert "Accuracy and size" in page and "The front: parameters and accuracy of each cell" in page
    with pytest.raises(DataError, match=f"has {len(cells)} cells, with the numbers 0 to"):
        resolve_genotype(f"{front}:{len(cells)}")


def test_a_damaged_front_and_a_run_without_one_are_refused(front: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(DataError, match="has no front"):
        resolve_genotype(f"{tmp_path}:0")
    (tmp_path / "front.json").write_text('{"cells": [1]}')
    with pytest.raises(DataError, match="is damaged"):
        resolve_genotype(f"{tmp_path}:0")
