"""Real child processes: so many at once, on their cores, and none that outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from adarts.launch import usable_cores
from adarts.sweeping.executors import Ended, Job, Started
from adarts.sweeping.executors.local import LocalExecutor, bindings

#: Says when it began, ends at a file or a signal.
PATIENT = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path(sys.argv[1] + '.stopped').touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1] + '.began').touch()
while not pathlib.Path(sys.argv[1] + '.go').exists():
    time.sleep(0.01)
"""


def job(folder: Path, name: str, code: str) -> Job:
    return Job(name, [sys.executable, "-c", code, str(folder / name)], folder / f"{name}.log", folder / "run")


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name}"
        time.sleep(0.01)


@contextmanager
def running(jobs: list[Job], slots: int) -> Iterator[LocalExecutor]:
    with closing(LocalExecutor(slots, 1)) as executor:
        executor.submit(jobs)
        yield executor


def all_ended(executor: LocalExecutor) -> list[Ended]:
    gone: list[Ended] = []
    while executor.alive():
        gone += [event for event in executor.poll() if isinstance(event, Ended)]
        time.sleep(0.01)
    return gone


def test_no_more_than_there_are_slots(tmp_path: Path) -> None:
    with running([job(tmp_path, name, PATIENT) for name in "abc"], 2) as executor:
        assert executor.poll() == [Started("a"), Started("b")]
        wait_for(tmp_path / "b.began")
        assert (executor.poll(), executor.alive()) == ([], set("abc"))
        (tmp_path / "b.go").touch()
        while not (events := executor.poll()):
            time.sleep(0.01)
        assert events == [Ended("b", 0, "exit code 0"), Started("c")]
        wait_for(tmp_path / "c.began")
        executor.stop()
        assert {(ended.name, ended.code) for ended in all_ended(executor)} == {("a", 143), ("c", 143)}


def test_threads_and_cores_of_a_child(tmp_path: Path) -> None:
    code = "import os; print(os.environ['OMP_NUM_THREADS'], sorted(os.sched_getaffinity(0)))"
    cores = usable_cores()
    with running([job(tmp_path, "a", code), job(tmp_path, "b", code)], 2) as executor:
        all_ended(executor)
    said = [(tmp_path / f"{name}.log").read_text().strip() for name in "ab"]
    if len(cores) < 2:
        assert said == [f"1 {cores}"] * 2
    else:
        half = len(cores) // 2
        assert said == [f"1 {cores[:half]}", f"1 {cores[half : 2 * half]}"]


def test_each_slot_has_its_device(tmp_path: Path) -> None:
    code = "import sys; print(sys.argv[2:])"
    with closing(LocalExecutor(3, 1, ["cuda:0", "cuda:1"])) as executor:
        executor.submit([job(tmp_path, name, code) for name in "abc"])
        assert executor.poll() == [Started("a", "cuda:0"), Started("b", "cuda:1"), Started("c", "cuda:0")]
        assert {ended.name: ended.words for ended in all_ended(executor)} == {
            "a": "['--device', 'cuda:0']",
            "b": "['--device', 'cuda:1']",
            "c": "['--device', 'cuda:0']",
        }


@pytest.mark.parametrize(
    ("cores", "number", "threads", "expected"),
    [
        ([0, 1, 2, 3], 2, 2, [[0, 1], [2, 3]]),
        ([4, 6, 8, 9, 10], 2, 1, [[4, 6], [8, 9]]),
        ([0, 1], 1, 2, [[0, 1]]),
        ([0, 1], 3, 1, [(), (), ()]),  # too few: they share
        ([0, 1], 2, 2, [(), ()]),
    ],
)
def test_each_slot_has_its_own_cores(cores: list[int], number: int, threads: int, expected: list[object]) -> None:
    assert bindings(cores, number, threads) == expected


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        (
            "import sys; print('a line'); print('adarts: too bad', file=sys.stderr); print('more'); sys.exit(3)",
            3,
            "too bad",
        ),
        ("raise ValueError('what')", 1, "ValueError: what"),
        ("import sys; sys.exit(7)", 7, "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", None, "ended by SIGKILL"),
        ("import os; os.kill(os.getpid(), 15)", 143, "ended by SIGTERM"),
    ],
)
def test_last_words(tmp_path: Path, code: str, exit_code: int | None, said: str) -> None:
    (tmp_path / "a.log").write_text("adarts: of an earlier time\n")
    with running([job(tmp_path, "a", code)], 1) as executor:
        assert all_ended(executor) == [Ended("a", exit_code, said)]
    assert (tmp_path / "a.log").read_text().startswith("adarts: of an earlier time\n")


def test_an_error_in_the_parent_leaves_no_child(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), running([job(tmp_path, "a", PATIENT)], 1) as executor:
        executor.poll()
        wait_for(tmp_path / "a.began")
        raise RuntimeError
    assert (tmp_path / "a.stopped").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from adarts.sweeping.executors import Job\n"
        "from adarts.sweeping.executors.local import LocalExecutor\n"
        f"a = Path({str(tmp_path / 'a')!r})\n"
        f"job = Job('a', [sys.executable, '-c', {PATIENT!r}, str(a)], a.with_suffix('.log'), a)\n"
        "executor = LocalExecutor(1, 1); executor.submit([job]); executor.poll(); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    wait_for(tmp_path / "a.began")
    parent.send_signal(signal.SIGKILL)
    assert parent.wait() == -signal.SIGKILL
    wait_for(tmp_path / "a.stopped")
