"""Jobs on a real Ray cluster of two nodes, one of which is killed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from patient_job import begun, job, until
from whole_sweep import WORDS, table, wait_for

from adarts.cli.main import main
from adarts.config.cluster import Engine, RaySettings
from adarts.errors import ConfigError
from adarts.experiments.reproducing.runs import Runs
from adarts.experiments.reproducing.work import Work
from adarts.searching import search_config
from adarts.sweeping.executors import Ended, Event

ray = pytest.importorskip("ray", reason="Ray is missing; install it: pip install 'adarts[ray]'")
pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

FAST = {"health_check_initial_delay_ms": 5000, "health_check_period_ms": 1000, "health_check_failure_threshold": 10}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    whole = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "include_log_monitor": False,
            "no_monitor": True,
            "_system_config": FAST,
        },
    )
    yield whole
    ray.shutdown()
    whole.shutdown()


@pytest.fixture
def nodes(cluster: Any) -> Iterator[list[Any]]:
    """Two nodes with one CPU each."""
    found = [cluster.add_node(num_cpus=1) for _ in range(2)]
    yield found
    for node in cluster.worker_nodes & set(found):
        cluster.remove_node(node, allow_graceful=False)


def test_every_kind_of_end_and_a_node_that_is_killed(cluster: Any, nodes: list[Any], tmp_path: Path) -> None:
    from adarts.sweeping.executors.ray import RayExecutor

    settings = RaySettings(address=cluster.address)
    one, events = RayExecutor(tmp_path / "jobs", settings, None), list[Event]()
    assert one.places == 2
    bad = "import sys; print('adarts: too bad', file=sys.stderr); sys.exit(3)"
    one.submit([job(tmp_path, "bad", bad), job(tmp_path, "a"), job(tmp_path, "b")])
    until(one, events, Ended("bad", 3, "too bad"))
    begun(one, events, tmp_path, "a")
    begun(one, events, tmp_path, "b")
    one.submit([job(tmp_path, "c")])  # not before: Ray begins waiting actors in any order

    # Another process finds the jobs.
    one.close()
    two, later = RayExecutor(tmp_path / "jobs", settings, None), list[Event]()
    assert two.alive() == set("abc")
    begun(two, later, tmp_path, "a")

    # A node is lost: its search ends without a code, and begins on the other node once that is free. The waiting one may be lost,
    # too, if Ray had chosen this node for it; Ray begins waiting ones in any order.
    cluster.remove_node(nodes[1], allow_graceful=False)
    end = time.monotonic() + 120
    while not {"a", "b"} & (lost := {event.name for event in later if isinstance(event, Ended) and event.code is None}):
        assert time.monotonic() < end
        later += two.poll()
        time.sleep(0.05)
    ((ended,), (other,)) = lost & {"a", "b"}, {"a", "b"} - lost
    (tmp_path / f"{ended}.began").unlink()
    (tmp_path / "c.go").touch()
    again: list[Event] = []
    two.submit([job(tmp_path, name) for name in lost])
    (tmp_path / f"{other}.go").touch()
    begun(two, again, tmp_path, ended)
    if any(isinstance(event, Ended) and event.name == "c" and event.code is None for event in again):
        two.submit([job(tmp_path, "c")])  # its loss was seen later
    (tmp_path / f"{ended}.go").touch()
    until(two, again, *(Ended(name, 0, "exit code 0") for name in "abc"))

    two.submit([job(tmp_path, "d")])
    begun(two, again, tmp_path, "d")
    two.stop()
    until(two, again, Ended("d", 143, "SIGTERM"))
    assert two.alive() == set()
    two.close()


def test_a_sweep_whose_node_is_killed_reaches_the_same_table(
    cluster: Any, nodes: list[Any], expected: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"

    def kill_a_node() -> None:
        for seed in (0, 1):
            wait_for(folder / "points" / f"adarts-seed{seed}" / "log.txt", "epoch 1/4")
        cluster.remove_node(nodes[1], allow_graceful=False)

    thread = threading.Thread(target=kill_a_node)
    thread.start()
    assert main(["sweep", *WORDS, "--on", "ray", "--ray.address", cluster.address, "--sweep-dir", str(folder)]) == 0
    thread.join()
    assert re.search(r"queued adarts-seed[01] again: (lost on|ended by SIGKILL)", capsys.readouterr().out)
    assert table(folder) == expected


def test_a_reproduction_comes_back_to_its_cluster(
    cluster: Any, nodes: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, asked = ray.init, list[Any]()

    def spied(*address: str, **how: Any) -> Any:
        asked.append(address)
        return begin(*address, **how)

    monkeypatch.setattr(ray, "init", spied)  # without an address, Ray would begin a cluster of its own
    runs, settings = Runs(tmp_path), RaySettings(address=cluster.address)
    work = Work(runs, Engine(on="ray", ray=settings), None)
    images = {"per_class": 4, "size": 16}
    config = search_config(method="darts", data="digits", scale="smoke", images=images)
    work.carry_out([config])
    work.measure([config])
    assert not work.failed and runs.is_finished(config) and runs.step(config) is not None
    assert asked == [(cluster.address,)] * 3


@pytest.mark.parametrize(
    ("address", "variable", "said"),
    [
        ("127.0.0.1:1", None, "--ray.address 127.0.0.1:1"),
        ("10.0.0..1:6379", None, "--ray.address 10.0.0..1:6379"),
        ("auto", "127.0.0.1:1", "RAY_ADDRESS"),
    ],
)
def test_an_address_without_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, variable: str | None, said: str
) -> None:
    from adarts.sweeping.executors.ray import RayExecutor

    if variable is not None:
        monkeypatch.setenv("RAY_ADDRESS", variable)
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}: there is no Ray cluster$"):
        RayExecutor(tmp_path / "jobs", RaySettings(address=address), None)
