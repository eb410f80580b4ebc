"""Searches over seeds, against numbers computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_sweep import CONV, HALF, SKIP, make_sweep

from adarts.errors import CheckpointError, DataError
from adarts.report.numbers import Spread
from adarts.spaces import DARTS, Genotype, random_genotype
from adarts.truth import lookup
from adarts.truth.stability import Found, equal_edges, group, stability


def test_equal_edges() -> None:
    assert equal_edges([SKIP, SKIP]) == 1
    assert equal_edges([SKIP, CONV]) == 0
    assert equal_edges([SKIP, HALF, CONV]) == pytest.approx((1 / 2 + 0 + 1 / 2) / 3)
    assert equal_edges([SKIP]) is None


def test_a_group_by_hand() -> None:
    found = group({}, [Found(0, lookup(SKIP), [0.5, 1.0]), Found(1, lookup(HALF), []), Found(2, lookup(CONV), [0.25])])
    accuracies = [lookup(cell).cifar10.test for cell in (SKIP, HALF, CONV)]
    spread = found.accuracies["cifar10"]
    assert (spread.worst, spread.best) == (54.2967, max(accuracies))
    assert spread.spread == Spread.of(accuracies)
    assert found.channels == Spread(2, 0.5, pytest.approx(0.5 / 2**0.5))  # 0.75 and 0.25
    alone = group({}, [Found(0, lookup(SKIP), [])])
    assert (alone.equal_edges, alone.channels, alone.accuracies["cifar10"].spread.sd) == (None, None, None)


def test_stability_of_a_sweep(finished_search: Path, tmp_path: Path) -> None:
    cells = {"adarts-0": SKIP, "darts-1": CONV, "adarts-2": HALF}
    sweep = make_sweep(tmp_path, finished_search, {name: Genotype.from_text(cell) for name, cell in cells.items()})
    result = stability(sweep)
    assert [one.settings for one in result.groups] == [{"method": "adarts"}, {"method": "darts"}]
    adarts = result.groups[0]
    assert [one.seed for one in adarts.found] == [0, 2]
    assert adarts.equal_edges == 0.5
    assert adarts.channels is not None and adarts.channels.n == 2
    assert result.dataset == "cifar10"  # the data is digits
    assert result.anything["cifar10"].spread.n == 15_625
    written = json.loads((sweep / "stability.json").read_text())
    assert written["groups"][1]["found"][0]["arch"] == CONV
    assert written["all_cells"]["cifar100"]["best"] == 73.5133
    drawing = (sweep / "stability.svg").read_text()
    assert "adarts: " in drawing and f"darts: {lookup(CONV).cifar10.test:.2f}<" in drawing


def test_what_none_costs(finished_search: Path, tmp_path: Path) -> None:
    named = "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|"
    cells = {"darts-0": named, "adarts-1": SKIP}
    sweep = make_sweep(tmp_path, finished_search, {name: Genotype.from_text(cell) for name, cell in cells.items()})
    metrics = sweep / "points" / "darts-0" / "metrics.jsonl"
    *before, last = map(json.loads, metrics.read_text().splitlines())
    # `none` is first on every edge, nor_conv_3x3 second, but for the second edge, where it is the other way round.
    rows = [[0.3, 0.1, 0.2, 0.25, 0.15]] * 6
    rows[1] = [0.25, 0.1, 0.2, 0.3, 0.15]
    last["operation_weights"] = {"normal": rows}
    metrics.write_text("".join(json.dumps(record) + "\n" for record in [*before, last]))
    darts, adarts = stability(sweep).groups
    assert darts.accuracies["cifar10"].spread.mean == lookup(named).cifar10.test
    assert darts.without_none["cifar10"].spread.mean == lookup(CONV).cifar10.test
    # A cell without it stays as it is, whatever the last weights would name.
    assert adarts.without_none["cifar10"].spread.mean == 54.2967
    assert json.loads((sweep / "stability.json").read_text())["groups"][0]["found"][0]["without_none"] == CONV


def test_what_is_no_sweep_of_the_space(finished_search: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no sweep\.json"):
        stability(tmp_path)
    sweep = make_sweep(tmp_path / "other", finished_search, {"darts-0": random_genotype(DARTS, 0)})
    with pytest.raises(DataError, match="no search in the space 'nasbench201' is finished"):
        stability(sweep)
    for damaged in ("[]", "{}", '{"format": "adarts-sweep", "points": [1]}', "nonsense"):
        (sweep / "sweep.json").write_text(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            stability(sweep)
