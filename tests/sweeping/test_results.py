"""Sums over seeds, against numbers computed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from adarts.config.settings import SearchConfig
from adarts.report.numbers import Spread
from adarts.sweeping.pages import content, page, summary
from adarts.sweeping.points import Point
from adarts.sweeping.results import PointResult, SeedGroup, accuracies, groups
from adarts.truth.judge import judge_of

CONFIG = SearchConfig()
MACHINE = dict.fromkeys(
    ("command", "cpu", "cores", "device", "adarts", "git_commit", "torch", "python", "started"), "x"
)
FACTS = {"environment": MACHINE, "on": "local", "slots": 1, "threads": 1}


def point(method: str, k: int, seed: int) -> Point:
    return Point(f"{method}-edge.k={k}-seed{seed}", {"method": method, "edge.k": k, "seed": seed}, CONFIG, 2)


def done(method: str, k: int, seed: int, skips: int, **figures: Any) -> PointResult:
    figures = {"skips.normal": skips, **figures}
    return PointResult(point(method, k, seed), Path(), "finished", figures=figures, collapsed=skips > 2)


OUTCOMES = [
    done("adarts", 4, 0, 4, train_accuracy=0.40, seconds=10.0),
    done("darts", 1, 0, 8, train_accuracy=0.5, seconds=60.0),
    done("adarts", 4, 1, 1, train_accuracy=0.43, seconds=12.0),
    done("adarts", 4, 2, 2, train_accuracy=0.46, seconds=17.0),
    done("adarts", 2, 0, 3, train_accuracy=0.6, alphas_accuracy=0.5, seconds=20.0),
    PointResult(point("adarts", 4, 3), Path(), "failed", "the loss is nan | really"),
    PointResult(point("darts", 1, 1), Path(), "waiting"),
    PointResult(point("darts", 2, 0), Path(), "failed", "no memory"),
]


def test_groups_by_method_and_settings() -> None:
    found = {(g.settings["method"], g.settings["edge.k"]): g for g in groups(OUTCOMES)}
    assert list(found) == [("adarts", 4), ("darts", 1), ("adarts", 2)]  # what has nothing finished is left out
    group = found["adarts", 4]
    assert group.seeds == [0, 1, 2]
    assert group.collapsed == 1  # one of 4, 1, 2 is above two
    # 10, 12, 17: mean 13, squared distances 9 + 1 + 16 = 26, over n - 1 = 2: 13
    assert group.figures["seconds"] == Spread(3, 13.0, pytest.approx(13**0.5))
    # 4, 1, 2: mean 7/3, squared distances 25/9 + 16/9 + 1/9 = 42/9, over 2: 7/3
    assert group.figures["skips.normal"] == Spread(3, pytest.approx(7 / 3), pytest.approx((7 / 3) ** 0.5))
    assert group.figures["train_accuracy"] == Spread(3, pytest.approx(0.43), pytest.approx(0.03))
    assert "alphas_accuracy" not in group.figures
    assert found["darts", 1].figures["seconds"] == Spread(1, 60.0, None)
    assert found["darts", 1].collapsed == 1


def test_what_was_not_measured_is_left_out() -> None:
    record = {"train_accuracy": 0.0, "alphas_accuracy": None, "train_loss": 1.0}
    assert accuracies(record) == {"train_accuracy": 0.0}


@pytest.mark.parametrize(
    ("name", "spread", "words"),
    [
        ("train_accuracy", Spread(3, 0.43, 0.03), "43.0 ± 3.0 %"),
        ("train_accuracy", Spread(1, 0.43, None), "43.0 %"),
        ("seconds", Spread(3, 13.0, 3.6056), "13.0 ± 3.6 s"),
        ("skips.normal", Spread(3, 7 / 3, 1.5275), "2.33 ± 1.53"),
        ("skips.normal", Spread(1, 8.0, None), "8"),
    ],
)
def test_in_words(name: str, spread: Spread, words: str) -> None:
    group = SeedGroup({"method": "adarts"}, [0], 0, {name: spread})
    assert f"| {words} |" in " ".join(summary([group]).split())


def test_table_and_page() -> None:
    found = groups(OUTCOMES)
    head, rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in summary(found).splitlines()]
    assert head == ["method", "edge.k", "n", "skips normal", "train", "seconds", "alphas", "collapsed"]
    assert set("".join(rule)) == {"-"}
    assert rows[0] == ["adarts", "4", "3", "2.33 ± 1.53", "43.0 ± 3.0 %", "13.0 ± 3.6 s", "", "1 of 3"]
    assert rows[1] == ["darts", "1", "1", "8", "50.0 %", "60.0 s", "", "1 of 1"]
    text = page("Title", OUTCOMES, found, FACTS, {})
    assert summary(found) in text
    assert "the loss is nan \\| really" in text  # a bar would end the cell
    assert "need no search" not in text
    assert summary([]) == "No point is finished."


def table_of(found: Sequence[SeedGroup]) -> list[list[str]]:
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in summary(found).splitlines()]
    return [head, *rows]


def test_accuracies_of_the_cells_stand_beside_their_worst_and_what_needs_no_search() -> None:
    outcomes = [done("adarts", 4, seed, 1, **{"estimated.cifar10": 93.5 + seed}) for seed in range(3)]
    outcomes.append(done("darts", 1, 0, 1))
    found = groups(outcomes)
    head, first, second = table_of(found)
    assert head == ["method", "edge.k", "n", "skips normal", "estimated cifar10", "worst", "collapsed"]
    assert first[4:6] == ["94.50 ± 1.00", "93.50"] and second[4:6] == ["", ""]
    floors = {"darts": judge_of("darts").floors()}
    text = " ".join(page("Title", outcomes, found, FACTS, floors).split())
    assert "| darts | separable convolutions | 1,000 | 94.3" in text
    written = json.loads(json.dumps(content(outcomes, found, FACTS, floors)))
    assert written["groups"][0]["worst"] == {"estimated.cifar10": 93.5}
    assert written["floors"]["darts"][0]["name"] == "random cells"
    outcomes[1].beyond = True
    head, first, second = table_of(groups(outcomes))
    assert head[-2:] == ["collapsed", "beyond"] and (first[-1], second[-1]) == ("1 of 3", "0 of 1")


def test_content_is_json_with_all_points() -> None:
    read = json.loads(json.dumps(content(OUTCOMES, groups(OUTCOMES), FACTS, {}), allow_nan=False))
    assert [entry["state"] for entry in read["points"]] == [outcome.state for outcome in OUTCOMES]
    first, failed = read["points"][0], read["points"][5]
    assert first["folder"] == "points/adarts-edge.k=4-seed0"
    assert first["settings"] == {"method": "adarts", "edge.k": 4, "seed": 0}
    assert first["figures"]["seconds"] == 10.0
    assert (first["collapsed"], failed["collapsed"], failed["error"]) == (True, None, "the loss is nan | really")
    assert read["groups"][1]["figures"]["seconds"] == {"n": 1, "mean": 60.0, "sd": None}
