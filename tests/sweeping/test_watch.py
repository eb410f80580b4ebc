"""What is shown while a sweep runs: lines in a file, a table that lives on a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from adarts.config.settings import SearchConfig
from adarts.sweeping.points import Point
from adarts.sweeping.results import PointResult
from adarts.sweeping.watch import Watch, points_table

RECORD = {"train_accuracy": 0.412, "alphas_accuracy": None, "skips": {"normal": 2, "reduction": 1}}


@pytest.fixture
def rows(tmp_path: Path) -> list[PointResult]:
    config = SearchConfig()
    made = [PointResult(Point(name, {"method": "adarts", "seed": 0}, config, 3), tmp_path / name) for name in "abcd"]
    made[1].folder.mkdir()
    (made[1].folder / "metrics.jsonl").write_text(2 * (json.dumps(RECORD) + "\n"))
    return made


def tell(rows: list[PointResult], terminal: bool) -> str:
    plain = {"highlight": False, "markup": False, "soft_wrap": True, "width": 100, "height": 20}
    console = Console(file=io.StringIO(), force_terminal=terminal, **plain)  # type: ignore[arg-type]
    with Watch(rows, console) as watch:
        watch.started("a")
        watch.again("a", "ended by SIGKILL")
        watch.started("a", "node7")
        watch.started("b")
        watch.ended("a", "failed", "too bad", Path("a.txt"))
        watch.ended("b", "finished")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_one_line_an_event(rows: list[PointResult]) -> None:
    assert tell(rows, terminal=False).splitlines() == [
        "started a",
        "queued a again: ended by SIGKILL",
        "started a on node7",
        "started b at epoch 2/3",
        "failed a after 0 s, epoch 0/3: too bad (log: a.txt)",
        "finished b after 0 s, epoch 2/3: train 41.2 %, skips normal 2, skips reduction 1",
    ]


def test_a_table_on_a_terminal(rows: list[PointResult]) -> None:
    said = tell(rows, terminal=True)
    assert "started" not in said
    assert "failed a after 0 s, epoch 0/3: too bad (log: a.txt)" in said
    last = said[said.rindex("point") :].splitlines()  # as it was drawn last
    assert [line.split()[:3] for line in last[1:5]] == [
        ["a", "failed", "0/3"],
        ["b", "finished", "2/3"],
        ["c", "waiting", "0/3"],
        ["d", "waiting", "0/3"],
    ]
    assert "1 failed, 1 finished, 2 waiting" in last[5]


def test_where_not_all_rows_fit_those_that_matter_are_shown(rows: list[PointResult]) -> None:
    for row, state in zip(rows, ("finished", "running", "failed", "waiting"), strict=True):
        row.state = state  # type: ignore[assignment]
    assert points_table(rows, height=5).row_count == 4
    assert list(points_table(rows, height=4).columns[0].cells) == ["b", "c"]
    assert points_table(rows, height=4).caption == "1 finished, 1 running, 1 failed, 1 waiting"
