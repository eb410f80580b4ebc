"""Searches over seeds, against numbers computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_sweep import CONV, HALF, SKIP, make_sweep

from adarts import zoo
from adarts.errors import CheckpointError, ConfigError, DataError
from adarts.report.numbers import Spread
from adarts.spaces import DARTS, Genotype, get_space, random_genotype
from adarts.truth import estimate_of, lookup
from adarts.truth.judge import judge_of
from adarts.truth.stability import Found, equal_edges, group, stability

KEPT_TWICE = (2 + 4 / 3 + 1 + 4 / 5) / 8
"""Share of the kept edges of a random cell of the DARTS space that another random cell keeps, too."""


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
    assert result.judge.floors()[0].accuracies["cifar10"].spread.n == 15_625
    written = json.loads((sweep / "stability.json").read_text())
    assert written["groups"][1]["found"][0]["arch"] == CONV
    assert written["accuracies"] == "true test accuracy, 200 epochs"
    assert written["floors"][0]["cifar100"]["best"] == 73.5133
    drawing = (sweep / "stability.svg").read_text()
    assert "adarts: " in drawing and f"darts: {lookup(CONV).cifar10.test:.2f}<" in drawing


def test_a_sweep_in_the_darts_space(finished_search: Path, tmp_path: Path) -> None:
    drawn = [random_genotype(DARTS, 0), zoo.get("CARS_Lat_A").genotype, random_genotype(DARTS, 2)]
    cells = dict(zip(("adarts-0", "darts-1", "adarts-2"), drawn, strict=True))
    sweep = make_sweep(tmp_path, finished_search, cells | {"fair-3": zoo.get("FairDARTS_a").genotype})
    result = stability(sweep)
    adarts, darts = result.groups
    estimates = [estimate_of(genotype).cifar10 for genotype in drawn]
    assert adarts.accuracies["cifar10"].spread == Spread.of([estimates[0], estimates[2]])
    assert darts.accuracies["cifar10"].worst == estimates[1]
    assert adarts.without_none == {}
    same = [set(drawn[0].by_edge(kind).items()) & set(drawn[2].by_edge(kind).items()) for kind in drawn[0].cells]
    assert adarts.equal_edges == sum(map(len, same)) / 16
    assert result.beyond == ["method darts, seed 1: 5 skip connections in the normal cell; the data has at most 4"]
    assert result.left_out == ["method fair, seed 3: no estimate: the normal cell needs 4 nodes, all of them outputs"]
    written = json.loads((sweep / "stability.json").read_text())
    assert written["accuracies"].startswith("estimated")
    assert [floor["name"] for floor in written["floors"]][-1] == "published cells"
    assert "Estimated accuracy on CIFAR-10" in (sweep / "stability.svg").read_text()


@pytest.mark.parametrize(("space", "share"), [("nasbench201", 1 / 5), ("darts", KEPT_TWICE / 7)])
def test_two_random_cells_agree_by_chance(space: str, share: float) -> None:
    assert judge_of(space).equal_edges == pytest.approx(share)
    cells = [random_genotype(get_space(space), seed).to_text() for seed in range(40)]
    assert equal_edges(cells) == pytest.approx(share, abs=0.02)


def test_a_choice_of_two_operations_agrees_more_often_and_s4_is_judged_without_noise() -> None:
    assert judge_of("s2").equal_edges == pytest.approx(KEPT_TWICE / 2)
    assert judge_of("s4").equal_edges == pytest.approx(KEPT_TWICE)


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
    cells = {"fair-0": zoo.get("FairDARTS_a").genotype}
    with pytest.raises(
        DataError, match="no finished search whose cells can be judged; method fair, seed 0: no estimate"
    ):
        stability(make_sweep(tmp_path / "fair", finished_search, cells))
    cells = {"darts-0": random_genotype(DARTS, 0), "darts-1": Genotype.from_text(SKIP)}
    with pytest.raises(ConfigError, match="searches in the spaces darts, nasbench201"):
        stability(make_sweep(tmp_path / "both", finished_search, cells))
    (tmp_path / "none").mkdir()
    sweep = make_sweep(tmp_path / "none", finished_search, {})
    with pytest.raises(DataError, match="none is in a space whose cells have"):
        stability(sweep)
    for damaged in ("[]", "{}", '{"format": "adarts-sweep", "points": [1]}', "nonsense"):
        (sweep / "sweep.json").write_text(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            stability(sweep)
