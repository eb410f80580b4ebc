"""Losses that are not finite, memory that does not suffice, metrics, and what the driver itself costs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_task import Plan, TinyTask, output, result, run_tiny, settings, start, wait

from adarts.config.settings import SearchConfig
from adarts.engine import Metrics, RunFolder, carry_out
from adarts.errors import CheckpointError, NotFiniteError, OutOfMemoryError


def test_one_plain_line_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_tiny(tmp_path / "run")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"run folder: {tmp_path / 'run'}"
    assert [line.partition("  loss")[0] for line in lines[1:5]] == [f"epoch {number}/4" for number in range(1, 5)]
    assert all(re.search(r"  0:00:0\d elapsed, 0:00:\d\d to go$", line) for line in lines[1:5])
    assert lines[5:] == [f"finished: {tmp_path / 'run'}"]


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    run_tiny(tmp_path / "run")
    before = result(tmp_path / "run")
    assert run_tiny(tmp_path / "run").taken == []
    assert result(tmp_path / "run") == before


def test_nan_stops_before_the_update_and_says_where(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match=r"epoch 2/4, step 4/6: the loss is nan.*stopped before the update$"):
        run_tiny(tmp_path / "run", Plan(nan_at=(1, 3)))


def test_nan_rolls_back_as_often_as_allowed_and_a_resume_does_not_start_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = TinyTask(Plan(nan_at=(1, 3)))
    config = SearchConfig(run=settings(tmp_path / "run", rollbacks=2, checkpoint_minutes=5.0))
    for _ in range(2):
        with (
            pytest.raises(NotFiniteError, match=r"after 2 rollback\(s\)"),
            RunFolder.open("search", "x", config) as run,
        ):
            carry_out(task, run, config.run)
    assert task.taken.count((1, 3)) == 4
    assert task.taken.count((1, 0)) == 4
    assert capsys.readouterr().out.count("to epoch 2/4, step 1/6") == 2


def test_a_rollback_past_a_fault_of_the_machine_changes_nothing(tmp_path: Path) -> None:
    class Faulty(TinyTask):
        def step(self, epoch: int, step: int):  # type: ignore[no-untyped-def]
            if (epoch, step) == (1, 3) and (1, 3) not in self.taken:
                self.taken.append((1, 3))
                raise NotFiniteError("a bit fell over")
            return super().step(epoch, step)

    run_tiny(tmp_path / "whole")
    config = SearchConfig(run=settings(tmp_path / "run", rollbacks=1))
    with RunFolder.open("search", "x", config) as run:
        carry_out(Faulty(), run, config.run)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_out_of_memory_in_the_first_step_halves_the_batch_for_real(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    plan = Plan(megabytes=100, memory_limit=600, signal_at=(0, 2, 15))
    assert wait(start(run_dir, plan)) == 143, output(run_dir)
    assert "warning: out of memory at epoch 1/4, step 1/6: halving the batch" in output(run_dir)
    halvings = output(run_dir).count("halving")
    assert halvings >= 2
    assert wait(start(run_dir, Plan(megabytes=100, memory_limit=600))) == 0
    assert output(run_dir).count("halving") == halvings, "the resumed run remembers"
    run_tiny(tmp_path / "whole")
    assert result(run_dir) == result(tmp_path / "whole"), "the failed attempts left nothing behind"


def test_memory_is_tried_anew_where_the_steps_grow(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(megabytes=100, memory_limit=600, grows_from=2))) == 0, output(run_dir)
    assert "warning: out of memory at epoch 3/4, step 1/6: halving the batch" in output(run_dir)
    run_tiny(tmp_path / "whole")
    assert result(run_dir) == result(tmp_path / "whole")


@pytest.mark.full
def test_out_of_memory_even_with_the_smallest_batch(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(megabytes=4000, memory_limit=600))) == 4
    assert "even with the smallest batch" in output(run_dir).splitlines()[-1]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory_later_goes_back_and_on_with_smaller_batches(tmp_path: Path, error: Exception) -> None:
    class Crowded(TinyTask):
        def step(self, epoch: int, step: int):  # type: ignore[no-untyped-def]
            if (epoch, step, self.accumulation) == (1, 3, 1):
                raise error
            return super().step(epoch, step)

    run_tiny(tmp_path / "whole")
    config = SearchConfig(run=settings(tmp_path / "run", checkpoint_minutes=5.0))
    task = Crowded()
    with RunFolder.open("search", "x", config) as run:
        carry_out(task, run, config.run)
    assert task.accumulation == 2 and task.taken.count((1, 0)) == 2
    assert "out of memory at epoch 2/4, step 4/6: halving" in (tmp_path / "run" / "log.txt").read_text()
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_out_of_memory_at_the_end_of_an_epoch_ends_the_run(tmp_path: Path) -> None:
    class Measuring(TinyTask):
        def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
            raise MemoryError

    config = SearchConfig(run=settings(tmp_path / "run"))
    with (
        RunFolder.open("search", "x", config) as run,
        pytest.raises(OutOfMemoryError, match="at epoch 1/4, the end of its steps"),
    ):
        carry_out(Measuring(), run, config.run)


def test_a_bug_stays_a_bug(tmp_path: Path) -> None:
    class Wrong(TinyTask):
        def step(self, epoch: int, step: int):  # type: ignore[no-untyped-def]
            raise RuntimeError("shapes do not fit")

    config = SearchConfig(run=settings(tmp_path / "run"))
    with RunFolder.open("search", "x", config) as run, pytest.raises(RuntimeError, match="shapes"):
        carry_out(Wrong(), run, config.run)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda state: state.pop("epoch"), "'epoch' is missing"),
        (lambda state: state.pop("seconds"), "'seconds' is missing"),
        (lambda state: state["task"].pop("model"), "'model' is missing"),
        (lambda state: state["task"]["model"].pop("bias"), r"Error\(s\) in loading state_dict for Linear"),
        (lambda state: state["task"]["optimizer"].update(param_groups=[]), "loaded state dict has a different number"),
        (lambda state: state.update(totals=3), "'int' object has no attribute 'items'"),
    ],
)
def test_a_state_that_does_not_fit_the_task(tmp_path: Path, spoil: Callable[[Any], Any], reason: str) -> None:
    state = {"task": TinyTask().state_dict(), "totals": {}, "seconds": 1.0}
    state |= dict.fromkeys(("epoch", "step", "rollbacks", "num_metrics"), 0)
    spoil(state)
    config = SearchConfig(run=settings(tmp_path / "run"))
    with RunFolder.open("search", "x", config) as run:
        run.checkpoints.save(state)
        with pytest.raises(CheckpointError, match=rf"/last\.pt does not fit this run: {reason}") as caught:
            carry_out(TinyTask(), run, config.run)
    assert "\n" not in str(caught.value)


def test_what_the_task_says_of_a_state_is_passed_on(tmp_path: Path) -> None:
    class Particular(TinyTask):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise CheckpointError("other images")

    config = SearchConfig(run=settings(tmp_path / "run"))
    with RunFolder.open("search", "x", config) as run:
        carry_out(TinyTask(epochs=1), run, config.run)
        with pytest.raises(CheckpointError, match=r"^other images$"):
            carry_out(Particular(), run, config.run)


def test_the_time_of_all_processes_counts(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(sleep=0.1, signal_at=(0, 4, 15)))) == 143
    config = SearchConfig(run=settings(run_dir))
    with RunFolder.open("search", "x", config) as run:
        carry_out(TinyTask(), run, config.run)
        assert run.seconds > 0.5


def test_metrics_forget_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    assert metrics.read() == []
    for epoch in range(3):
        metrics.append({"epoch": epoch, "name": "ä"})
    with metrics.path.open("ab") as file:
        file.write(b'{"epoch": 3, "na')
    metrics = Metrics(metrics.path)
    assert len(metrics) == 3
    assert [record["epoch"] for record in metrics.read()] == [0, 1, 2]
    metrics.truncate(2)
    assert len(metrics) == 2
    metrics.append({"epoch": 2})
    assert [json.loads(line)["epoch"] for line in metrics.path.read_text().splitlines()] == [0, 1, 2]
    with pytest.raises(CheckpointError, match=r"3 records, but the checkpoint was written after 4"):
        metrics.truncate(4)
    metrics.path.write_bytes(b"{}\nnonsense\n")
    with pytest.raises(CheckpointError, match="line 2"):
        Metrics(metrics.path).read()


def test_metrics_that_cannot_be_read_leave_the_folder_free(tmp_path: Path) -> None:
    config = SearchConfig(run=settings(tmp_path / "run"))
    RunFolder.open("search", "x", config).close()
    (tmp_path / "run" / "metrics.jsonl").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot read .*metrics\.jsonl: Is a directory"):
        RunFolder.open("search", "x", config)
    (tmp_path / "run" / "metrics.jsonl").rmdir()
    RunFolder.open("search", "x", config).close()


def test_metrics_that_are_not_finite_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match="alphas_loss=nan"):
        Metrics(tmp_path / "metrics.jsonl").append({"epoch": 1, "alphas_loss": float("nan")})


def test_the_driver_costs_next_to_nothing(tmp_path: Path) -> None:
    class Empty(TinyTask):
        def step(self, epoch: int, step: int) -> dict[str, float]:
            return {"loss": 1.0, "images": 1.0}

    config = SearchConfig(run=settings(tmp_path / "run", checkpoint_minutes=5.0))
    with RunFolder.open("search", "x", config) as run:
        started = time.process_time()
        carry_out(Empty(epochs=2, num_steps=5000), run, config.run)
        assert (time.process_time() - started) / 10_000 < 0.2e-3
