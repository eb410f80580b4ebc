"""Killed or stopped at any moment, a run goes on to the very result of an uninterrupted one."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_task import Plan, TinyTask, output, result, run_tiny, settings, start, wait, wait_for

from adarts.config.settings import SearchConfig
from adarts.engine import RunFolder, StopSignals, carry_out, parse_time_limit
from adarts.errors import ConfigError, Stopped


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("whole") / "run"
    run_tiny(path)
    return result(path)


@pytest.mark.full
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_five_times_at_random_moments(tmp_path: Path, uninterrupted: str, seed: int) -> None:
    run_dir, moments = tmp_path / "run", random.Random(seed)
    for _ in range(5):
        before = output(run_dir).count("run folder:")
        child = start(run_dir, Plan(sleep=0.01))
        while child.is_alive() and output(run_dir).count("run folder:") == before:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.2))
        child.kill()
        assert wait(child) in (-signal.SIGKILL, 0)
    assert wait(start(run_dir)) == 0
    assert result(run_dir) == uninterrupted
    assert not list(run_dir.rglob("*.tmp"))


@pytest.mark.parametrize(
    "place",
    [
        "between metrics and checkpoint",
        "in a metrics line",
        *(f"in a rename {number:02}" for number in (9, 12)),
        *(pytest.param(f"in a rename {number:02}", marks=pytest.mark.full) for number in (10, 11, 13, 14)),
    ],
)
def test_killed_in_the_middle_of_a_write(tmp_path: Path, uninterrupted: str, place: str) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(die=place))) == -signal.SIGKILL
    assert wait(start(run_dir)) == 0
    assert "continuing from epoch" in output(run_dir)
    assert result(run_dir) == uninterrupted
    assert sorted(path.name for path in (run_dir / "checkpoints").iterdir()) == ["last.pt", "previous.pt"]
    assert not list(run_dir.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        (signal.SIGTERM, 143),
        (signal.SIGINT, 130),
        pytest.param(signal.SIGUSR1, 143, marks=pytest.mark.full),
        pytest.param(signal.SIGUSR2, 143, marks=pytest.mark.full),
    ],
    ids=lambda v: str(v),
)
def test_a_signal_stops_at_a_checkpoint_within_one_step(
    tmp_path: Path, uninterrupted: str, number: signal.Signals, exit_code: int
) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(signal_at=(1, 3, number)), checkpoint_minutes=5.0)) == exit_code
    assert "at epoch 2/4, step 5/6; continue with: adarts" in output(run_dir)
    assert wait(start(run_dir)) == 0
    assert "continuing from epoch 2/4, step 5/6" in output(run_dir)
    assert result(run_dir) == uninterrupted


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    child = start(run_dir, Plan(sleep=60))
    wait_for(run_dir, "run folder:")
    time.sleep(0.3)
    for _ in range(2):
        assert child.is_alive()
        child._popen._send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert wait(child) == 130
    assert "Ctrl-C again stops at once" in output(run_dir)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_an_epoch_is_measured(tmp_path: Path, uninterrupted: str, times: int) -> None:
    """Asked for once, the measurement stops where it may; at once, the task may be half changed, and is not saved."""

    class Measuring(TinyTask):
        run: RunFolder

        def end_epoch(self, epoch: int, totals: dict[str, float]) -> dict[str, Any]:
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)
                if times == 1:
                    self.run.stop_if_asked()
                self.model.bias.data += 1
                signal.raise_signal(signal.SIGINT)
            return super().end_epoch(epoch, totals)

    run_dir, task = tmp_path / "run", Measuring()
    config = SearchConfig(run=settings(run_dir, checkpoint_minutes=5.0))
    with RunFolder.open("search", "x", config) as task.run, pytest.raises(Stopped) as stopped:
        carry_out(task, task.run, config.run)
    assert stopped.value.exit_code == 130
    with RunFolder.open("search", "x", config) as run:
        state = run.checkpoints.load()
    assert state is not None
    assert (state["epoch"], state["step"]) == ((1, 6) if times == 1 else (1, 0))
    run_tiny(run_dir)
    assert result(run_dir) == uninterrupted


def test_the_time_limit_stops_at_a_checkpoint(tmp_path: Path, uninterrupted: str) -> None:
    run_dir = tmp_path / "run"
    assert wait(start(run_dir, Plan(sleep=0.2), time_limit="1s")) == 143
    assert "stopped by the time limit at epoch" in output(run_dir)
    assert wait(start(run_dir)) == 0
    assert result(run_dir) == uninterrupted


def test_handlers_are_given_back(tmp_path: Path) -> None:
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in watched]
    run_tiny(tmp_path / "run")
    with pytest.raises(Stopped):
        run_tiny(tmp_path / "other", Plan(signal_at=(0, 0, signal.SIGTERM)))
    assert [signal.getsignal(number) for number in watched] == before


def test_outside_of_the_steps_a_signal_stops_at_once() -> None:
    with StopSignals(), pytest.raises(Stopped) as stopped:
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143


def test_a_request_after_the_last_question_is_not_lost() -> None:
    with StopSignals() as signals, pytest.raises(Stopped), signals.deferred():
        signal.raise_signal(signal.SIGUSR1)


def test_a_stored_request_holds_for_what_begins_after_it() -> None:
    """As when `adarts run` is asked to stop during an export, before its next training."""
    with pytest.raises(Stopped, match="SIGTERM"), StopSignals() as outer, outer.deferred():
        signal.raise_signal(signal.SIGTERM)
        with StopSignals() as inner, inner.deferred():
            assert inner.asked() is not None


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("9m", 540), ("2h", 7200), ("1h30m", 5400), ("1m5s", 65)])
def test_time_limits(text: str, seconds: float) -> None:
    assert parse_time_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "0s", "9 m", "-9m", "m", "30m1h", "1.5h", "9min", "٣m", "9" * 400 + "s"])
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--time-limit .* is not a time.*1h30m"):
        parse_time_limit(text)
