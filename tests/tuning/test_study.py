"""A study without its searches: who gets which trial, what is remembered, and what is refused."""

from __future__ import annotations

import json
import os
import shlex
import threading
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adarts.cli.main import main
from adarts.config.loading import to_yaml
from adarts.engine.lock import Lock
from adarts.errors import CheckpointError, ConfigError
from adarts.spaces import NASBENCH201, random_genotype
from adarts.truth import table
from adarts.tuning import study as store
from adarts.tuning import workers
from adarts.tuning.objective import value_of
from adarts.tuning.pages import command, content_of
from adarts.tuning.plan import Plan
from adarts.tuning.study import JOURNAL, PARTS, Row, Study, _lock_of, best_of
from adarts.tuning.workers import Worker

GIVEN: dict[str, Any] = {"method": "darts", "scale": "smoke", "images": {"per_class": 4, "size": 16}}
TUNE = ["alphas.learning_rate=1e-4..1e-1:log", "search.batch_size=8,16"]
EPOCHS = 2


def plan_of(*tune: str, prune: str = "none", **given: Any) -> Plan:
    return Plan.of(tune or TUNE, "validation", prune, {**GIVEN, **given})


@cache
def usual_plan() -> Plan:
    return plan_of()


def begin(folder: Path, plan: Plan | None = None) -> Study:
    """The study in a folder, as a new process sees it."""
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
    return Study.begin(folder, plan or usual_plan(), "images")


def nobody(name: str) -> bool:
    return False


def everybody(name: str) -> bool:
    return True


def worth(values: Any, epochs: int) -> float:
    return float(100 * values["alphas.learning_rate"] + values["search.batch_size"]) * epochs


def act(study: Study, number: int, values: Any) -> None:
    """Measure a trial by a formula in place of a search, and end it."""
    for epochs in range(1, EPOCHS + 1):
        assert not study.report(number, epochs, worth(values, epochs), may_prune=epochs < EPOCHS)
    study.finish(number, worth(values, EPOCHS))


def carry_out(study: Study, most: int) -> list[Row]:
    while (given := study.hand_out("me", most, nobody)) is not None:
        act(study, *given)
    return study.rows()


def test_the_same_study_again_is_identical_whoever_continues_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = begin(tmp_path / "whole")
    whole = carry_out(study, 14)
    assert study.importance() == {}  # of 14 trials, the best tenth is one
    monkeypatch.setattr(store, "_ENOUGH", 14)
    assert set(study.importance()) == {"alphas.learning_rate", "search.batch_size"}
    assert sum(study.importance().values()) == pytest.approx(1)
    assert [row.number for row in whole] == list(range(14))
    assert (whole[0].parameters["alphas.learning_rate"], whole[0].state) == (3e-4, "finished")  # as without tuning
    assert len({row.parameters["alphas.learning_rate"] for row in whole}) == 14

    folder = tmp_path / "torn"
    study = begin(folder)
    for number in range(14):
        if number == 3:
            study._optuna.ask()  # killed before its trial had values
            study = begin(folder)
        if number == 11:
            given = study.hand_out("gone", 14, nobody)
            assert given is not None
            study.report(11, 1, worth(given[1], 1), may_prune=True)  # its search repeats this epoch
            study = begin(folder)
        given = study.hand_out("me", 14, lambda name: name == "gone")
        assert given is not None and given[0] == number
        act(study, *given)
    assert study.rows() == whole


def test_many_processes_share_the_trials_without_a_lost_or_doubled_one(tmp_path: Path) -> None:
    begin(tmp_path)
    taken: list[int] = []

    def work(name: str) -> None:
        study = Study(tmp_path)
        while (given := study.hand_out(name, 13, nobody)) is not None:
            taken.append(given[0])
            act(study, *given)

    threads = [threading.Thread(target=work, args=(str(index),)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(13))
    study = Study(tmp_path)
    assert study.is_done(13) and not study.is_done(14)
    # Random proposals depend on the number alone.
    assert [row.parameters for row in study.rows()][:10] == [
        row.parameters for row in carry_out(begin(tmp_path / "alone"), 10)
    ]


def test_a_trial_is_taken_over_once_its_worker_is_gone_and_its_search_has_stopped(tmp_path: Path) -> None:
    study = begin(tmp_path)
    given = study.hand_out("a", 1, nobody)
    assert given is not None
    assert study.hand_out("b", 1, nobody) is None
    study.run_dir(0).mkdir()
    lock = Lock(study.run_dir(0))  # the search goes on to its next checkpoint
    assert study.hand_out("b", 2, everybody) is None
    lock.release()
    assert study.hand_out("b", 2, everybody) == given
    assert study.hand_out("c", 1, lambda name: name == "a") is None  # it is b's now
    assert len(study.rows()) == 1


@pytest.mark.parametrize("prune", ["median", "hyperband", "none"])
def test_a_pruned_trial_is_marked_and_the_decision_stays(tmp_path: Path, prune: str) -> None:
    study = begin(tmp_path, plan_of(prune=prune, search={"epochs": 9, "warmup_epochs": 2}))
    ended: dict[int, int] = {}
    for number in range(12):  # each is worse than those before
        study.hand_out("me", 12, nobody)
        for epochs in range(1, 10):
            if study.report(number, epochs, 50.0 - number, may_prune=epochs < 9):
                ended[number] = epochs
                break
        if number in ended:
            assert Study(tmp_path).report(number, ended[number], 50.0 - number, may_prune=True)  # repeated after a kill
            study.end_pruned(number)
        else:
            study.finish(number, 50.0 - number)
    expected = {"none": {}, "median": dict.fromkeys(range(5, 12), 3)}  # the first epoch after the warm-up
    assert ended == expected[prune] if prune in expected else ended
    for row in study.rows():
        assert (row.state, row.value) == ("pruned" if row.number in ended else "finished", 50.0 - row.number)
        assert row.epochs == ended.get(row.number, 9)
    best = best_of(study.rows())
    assert best is not None and best.number == 0


def test_the_median_waits_for_the_longest_warmup(tmp_path: Path) -> None:
    plan = plan_of("search.warmup_epochs=0..3", prune="median", search={"epochs": 9})
    assert begin(tmp_path, plan).plan["warmup_epochs"] == 3


def test_diverged_and_failed_trials_keep_their_reason_and_count(tmp_path: Path) -> None:
    study = begin(tmp_path)
    for end in (study.end_diverged, study.end_failed):
        given = study.hand_out("me", 2, nobody)
        assert given is not None
        end(given[0], "too large")
    assert [(row.state, row.value, row.error) for row in study.rows()] == [
        ("diverged", None, "too large"),
        ("failed", None, "too large"),
    ]
    assert study.is_done(2) and best_of(study.rows()) is None
    assert content_of(study, study.rows())["best"] is None


def test_another_study_in_the_folder_is_refused_by_the_names_of_the_differences(tmp_path: Path) -> None:
    begin(tmp_path)
    begin(tmp_path)
    other = Plan.of(["alphas.learning_rate=1e-4..1:log", TUNE[1]], "validation", "median", {**GIVEN, "seed": 2})
    with pytest.raises(CheckpointError, match=r"tune\.alphas\.learning_rate\.high, prune, seed differ; choose another"):
        begin(tmp_path, other)


def test_a_torn_journal_is_mended_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    before = carry_out(begin(tmp_path), 3)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code":4,"wor')
    study = Study(tmp_path)
    assert study.rows() == before
    assert len(carry_out(study, 4)) == 4 and Study(tmp_path).rows()[:3] == before
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b"nonsense\n{}\n")
    with pytest.raises(CheckpointError, match=f"{JOURNAL} is damaged"):
        Study(tmp_path)
    with pytest.raises(CheckpointError, match=r"has no study\.json that can be read: it is not a study"):
        Study(tmp_path / "trials")


def test_a_study_is_read_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = carry_out(begin(tmp_path), 3)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code":4,"wor')  # by a process that is writing now, and holds the lock
    lock = _lock_of(tmp_path / JOURNAL)
    lock.acquire()
    before = [(path, path.stat().st_mtime_ns) for path in (tmp_path, *sorted(tmp_path.rglob("*")))]
    assert Study(tmp_path, writes=False).rows() == rows
    assert main(["tune", "show", str(tmp_path)]) == 0
    assert [(path, path.stat().st_mtime_ns) for path in (tmp_path, *sorted(tmp_path.rglob("*")))] == before
    (tmp_path / JOURNAL).unlink()
    assert main(["tune", "show", str(tmp_path)]) == 3
    assert "the study has no trials yet" in capsys.readouterr().err


def test_a_worker_is_alive_until_it_leaves_or_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other, killed, far = (Worker(tmp_path) for _ in range(4))
    assert mine.is_alive(mine.name) and mine.is_alive(other.name)
    other.close()
    assert not mine.is_alive(other.name)
    os.close(killed._lock._descriptor)  # as the system does when it kills a process
    assert not mine.is_alive(killed.name)
    # On a drive whose locks are not seen from other machines, its signs of life are.
    os.close(far._lock._descriptor)
    (tmp_path / far.name / ".lock").write_text("process 5 on elsewhere, started now\n")
    assert mine.is_alive(far.name)
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, killed.name, far.name}
    (tmp_path / "begins").mkdir()
    next_one = Worker(tmp_path)  # on this machine, it sees at once that the killed one is gone
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, far.name, next_one.name, "begins"}
    monkeypatch.setattr(workers, "_SILENCE", 0.0)
    assert not mine.is_alive(far.name)
    monkeypatch.setattr(workers, "_BEAT", 0.0)
    mine.beat()
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, next_one.name, "begins"}
    mine.close()


def test_plans_that_cannot_work_are_refused_before_anything_starts() -> None:
    for tune, objective, given, said in [
        (["options.steps=20,40"], "validation", {"method": "trials"}, "trains single cells and has no supernet"),
        (["alphas.learning_rate=1e-3..1"], "validation", {"method": "snas"}, "trains on all images and leaves none"),
        (["edge.k=1,2"], "validation", {}, "selector 'all' uses every channel"),
        (["search.warmup_epochs=0..2"], "validation", {}, "all 2 epochs are warm-up"),
        (["edge.k=1,2"], "validation", {"edge": {"k": 1}}, "edge.k is both given and varied"),
        (["method=darts,adarts", "options.x=1,2"], "validation", {}, "options.NAME is for one method"),
        (TUNE, "validation", {"search": {"validate_supernet": False}}, "remove --search.no-validate-supernet"),
        (TUNE, "validation", {"run": {"processes": 2}}, "a trial runs in one process"),
        (TUNE, "validation", {"run": {"resume": True}}, "a study has --study-dir and always continues"),
    ]:
        with pytest.raises(ConfigError, match=said):
            Plan.of(tune, objective, "none", {**GIVEN, **given})


def test_cells_are_judged_by_validation_images_and_never_by_test_images() -> None:
    genotype = random_genotype(NASBENCH201, 3)
    config = Plan.of(TUNE, "cells", "none", {**GIVEN, "space": "nasbench201"}).base
    known = table.truth_of(genotype)
    value = value_of("cells", config, {"genotype": genotype.to_dict()})
    assert value == known.cifar10.validation_12
    assert value not in {known.cifar10.test, known.cifar10.test_12, known.cifar100.test, known.cifar100.validation_12}


def test_the_command_of_a_setting_is_its_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "some file.yaml"
    file.write_text("seed: 7\n")
    tune = ["alphas.learning_rate=1e-4..1e-1:log", "search.steps=none,3"]
    given = {
        "method": "darts-pt",
        "scale": "smoke",
        "weights": {"milestones": (0.5, 0.75), "final_learning_rate": 0},
        "images": {"flip": False},
    }
    plan = Plan.of(tune, "validation", "none", given, file)
    values = {"alphas.learning_rate": 0.001234, "search.steps": None}
    words = shlex.split(command(json.loads(json.dumps(plan.given)), str(file), values))
    assert words[:4] == ["adarts", "search", "--config", str(file)]
    assert main([*words[1:], "--print-config"]) == 0
    assert capsys.readouterr().out == to_yaml(plan.point(values, "x").config)
