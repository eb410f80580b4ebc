"""Unfinished searches from before there was a setting for the space: continued, or refused where they would not be the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from adarts.config.loading import search_config
from adarts.config.settings import SearchConfig
from adarts.errors import CheckpointError, Stopped
from adarts.methods import published
from adarts.runs.checkpoints import Checkpoints
from adarts.runs.config_file import identity
from adarts.searching import run_search

YOUNGER = ("space",)
FILES = ("genotype.json", "metrics.jsonl")


def config_of(run_dir: Path, method: str, **changes: Any) -> SearchConfig:
    return search_config(
        published,
        method=method,
        scale="smoke",
        images={"per_class": 4, "size": 8},
        search={"batch_size": 8, **changes},
        run={"run_dir": run_dir, "threads": 1, "device": "cpu"},
    )


def begun_earlier(run_dir: Path, method: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> SearchConfig:
    """A search that was stopped at once, and written as it was before the setting existed."""
    config = config_of(run_dir, method, **changes)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("adarts.runs.signals.StopSignals.asked", lambda self: Stopped("enough", 143))
        run_search(config)
    file = run_dir / "config.yaml"
    written = yaml.safe_load(file.read_text())
    old = identity(config)
    for name in YOUNGER:
        del written[name], old[name]
    file.write_text(yaml.safe_dump(written))
    folder = run_dir / "checkpoints"
    state = torch.load(folder / "last.pt", weights_only=True)["state"]
    for path in folder.iterdir():
        path.unlink()
    Checkpoints(folder, old, {}, pytest.fail).save(state)
    environment = json.loads((run_dir / "environment.json").read_text())
    (run_dir / "environment.json").write_text(json.dumps({**environment, "git_commit": "0123abc"}))
    return config


def result(run_dir: Path) -> list[bytes]:
    return [(run_dir / name).read_bytes() for name in FILES]


def test_a_search_from_before_there_was_a_space_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = begun_earlier(tmp_path / "old", "adarts", monkeypatch)
    run_search(config)
    assert "continuing from epoch 1/2, step 2/2" in (tmp_path / "old" / "log.txt").read_text()
    run_search(config_of(tmp_path / "whole", "adarts"))
    assert result(tmp_path / "old") == result(tmp_path / "whole")


def test_it_is_found_by_resume_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_earlier(tmp_path / "runs" / "search" / "old", "pc-darts", monkeypatch)
    config = config_of(tmp_path / "none", "pc-darts")
    run = config.run.model_copy(update={"run_dir": None, "runs": tmp_path / "runs", "resume": True})
    assert run_search(config.model_copy(update={"run": run})).run_dir.name == "old"


@pytest.mark.parametrize("method", ["gdas", "snas", "beta-darts", "darts-minus", "sdarts-rs", "sdarts-adv"])
def test_a_search_whose_schedule_has_changed_is_refused_and_left_alone(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = begun_earlier(tmp_path, method, monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=rf"commit 0123abc\), in which the schedule of '{method}' ran") as caught:
        run_search(config)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_without_a_warm_up_the_schedule_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = begun_earlier(tmp_path, "darts-minus", monkeypatch, warmup_epochs=0)
    assert run_search(config).run_dir == tmp_path


def test_a_finished_search_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = begun_earlier(tmp_path, "gdas", monkeypatch, warmup_epochs=0)
    run_search(config)
    assert run_search(config).summary["method"] == "gdas"
