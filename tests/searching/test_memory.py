"""The predicted memory of a search step against that of a process that carries it out, and what is said about it."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adarts import kernels
from adarts.config.settings import EdgeDesign, SearchConfig, SupernetSettings
from adarts.data import load_images
from adarts.errors import ConfigError, OutOfMemoryError
from adarts.methods import create
from adarts.searching import run_search, search_config
from adarts.searching.memory import (
    MemoryLimit,
    Workload,
    _Alive,
    _largest,
    _update_weights,
    bound,
    largest_batch,
    parse_memory,
    predicted_peak,
    smallest_k,
    tensor_bytes,
)
from adarts.spaces import get_space
from adarts.supernet import Supernet

CPU = torch.device("cpu")
SMALL = Workload(SupernetSettings(channels=8, cells=3), EdgeDesign(), batch=32, shape=(3, 16, 16))
HALF = SMALL.with_k(2)
DARTS = EdgeDesign(selector="all", k=1, attention=False)

# Two whole search steps; prints the most memory of the process above that before there was a supernet.
CHILD = """
import json, re, sys
from pathlib import Path
import torch
from adarts.config.settings import SearchConfig
from adarts.data import load_images
from adarts.methods import create
from adarts.engine import prepare_device
from adarts.searching import SearchTask

def most(name="VmHWM"):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

config = SearchConfig.model_validate(json.load(sys.stdin))
prepare_device(config.run)
data = load_images("signs", config.images, config.seed)
before, peak = most("VmRSS"), most()
task = SearchTask(config, data, create(config), torch.device("cpu"))
for step in range(2):
    task.step(0, 0)
assert most() > peak, "the step must need more than the imports did"
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from Linux's /proc")
@pytest.mark.parametrize(
    ("edge", "supernet"), [({"k": 4}, {}), ({"k": 2}, {"recompute": True, "cells": 4})], ids=["plain", "recomputing"]
)
def test_the_prediction_is_within_15_percent_of_a_process(edge: dict[str, object], supernet: dict[str, object]) -> None:
    config = SearchConfig.model_validate(
        {
            "edge": edge,
            "supernet": {"channels": 8, "cells": 3, **supernet},
            "search": {"epochs": 2, "batch_size": 64, "warmup_epochs": 0},
            "images": {"per_class": 16, "size": 32},
        }
    )
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(config.model_dump(mode="json")),
        capture_output=True,
        text=True,
        check=True,
    )
    workload = Workload(config.supernet, config.edge, 64, num_classes=10, native=kernels.active() == "native")
    assert predicted_peak(workload) == pytest.approx(int(done.stdout), rel=0.15)


@pytest.mark.parametrize(("native", "recompute"), [(True, True), (False, False)])
def test_tensors_without_data_take_as_much_as_real_ones(native: bool, recompute: bool) -> None:
    workload = replace(SMALL, batch=4, shape=(3, 8, 8), native=native)
    workload = workload.recomputing() if recompute else workload
    before, state = kernels.active(), torch.get_rng_state()
    predicted = tensor_bytes(workload)
    assert torch.equal(torch.get_rng_state(), state) and kernels.active() == before  # nothing was drawn or switched
    kernels.use("auto" if native else "torch")
    try:
        with _Alive() as alive:
            _update_weights(workload)
    finally:
        kernels.use("auto" if before == "native" else "torch")
    assert predicted == pytest.approx(alive.most, rel=0.005)


def test_memory_grows_with_the_batch_and_falls_with_k() -> None:
    few, some, many = (tensor_bytes(replace(HALF, batch=batch)) for batch in (2, 17, 32))
    assert few < some < many and many - some == pytest.approx(some - few, rel=0.02)
    assert tensor_bytes(SMALL) < 0.8 * many


def test_recomputation_and_a_shorter_type_need_less() -> None:
    assert tensor_bytes(HALF.recomputing()) < 0.6 * tensor_bytes(HALF)
    in_torch = replace(SMALL, batch=4, shape=(3, 8, 8), native=False)
    assert tensor_bytes(replace(in_torch, precision="bfloat16")) < tensor_bytes(in_torch)


@pytest.mark.parametrize(("precision", "native"), [("float32", kernels.active() == "native"), ("bfloat16", False)])
def test_the_native_kernels_count_where_they_run(precision: str, native: bool) -> None:
    config = search_config(scale="smoke", run={"precision": precision})
    (phase, *_) = create(config).phases(config, get_space("darts"))
    assert Workload.of(config, phase, load_images("signs", config.images, 0), CPU).native == native


def test_a_refusal_names_options_that_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    used = 500 * 10**6
    monkeypatch.setattr("adarts.searching.memory._memory", lambda device: (used, 10**12))
    room = (predicted_peak(HALF) + predicted_peak(SMALL)) // 2
    limit = MemoryLimit(used + room)
    with pytest.raises(
        OutOfMemoryError, match=r"needs about .* of memory, the limit is .*; it would fit with --"
    ) as error:
        limit.check(HALF, CPU)
    message = str(error.value)
    assert "\n" not in message and error.value.exit_code == 4
    assert "--edge.k 4 " in message and limit.check(SMALL, CPU) is None
    assert "--supernet.recompute" in message and limit.check(HALF.recomputing(), CPU) is None
    batch = int(re.search(r"--search.batch-size (\d+)", message)[1])  # type: ignore[index]
    assert 2 <= batch < 32 and limit.check(replace(HALF, batch=batch), CPU) is None
    assert predicted_peak(replace(HALF, batch=batch + 2)) > room


@pytest.mark.parametrize(
    "workload",
    [
        replace(SMALL, edge=EdgeDesign(k=1), native=False),
        Workload(SupernetSettings(channels=32, cells=3), EdgeDesign(k=1), batch=2, shape=(3, 8, 8), native=False),
        replace(SMALL, batch=2, num_classes=100_000, native=False),
        replace(SMALL, num_classes=100_000, native=False),
    ],
    ids=["batch", "width", "classes", "scores"],
)
def test_the_rule_of_thumb_is_above_the_prediction_where_that_is_largest(workload: Workload) -> None:
    assert predicted_peak(workload) <= bound(workload) < 4 * predicted_peak(workload)


def test_all_channels_on_every_edge_leave_no_k_to_choose() -> None:
    assert smallest_k(replace(SMALL, edge=DARTS), 10**12) is None


def test_where_nothing_fits_no_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert largest_batch(HALF, 10**7) is None and smallest_k(HALF, 10**7) is None
    monkeypatch.setattr("adarts.searching.memory._memory", lambda device: (0, 10**7))
    with pytest.raises(OutOfMemoryError, match="choose fewer channels or cells"):
        MemoryLimit.of("10MB").check(HALF, CPU)


def test_the_machine_itself_only_warns_and_none_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adarts.searching.memory._memory", lambda device: (10**8, 10**7))
    warning = MemoryLimit.of("auto").check(HALF, CPU)
    assert warning is not None and "this machine has 110 MB" in warning
    assert MemoryLimit.of(None).check(HALF, CPU) is None
    monkeypatch.setattr("adarts.searching.memory._memory", lambda device: (10**8, None))
    assert MemoryLimit.of("auto").check(HALF, CPU) is None


@pytest.mark.parametrize(("text", "amount"), [("8GB", 8 * 10**9), ("7.5GiB", 15 * 2**29), (" 512 mb", 512 * 10**6)])
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert parse_memory(text, "--memory") == amount


@pytest.mark.parametrize(
    "text", ["", "8", "8G", "0GB", "-1GB", "GB", "8 gallons", "1e3GB", "9" * 400 + "GB", "8IB", "none"]
)
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--memory-limit .* write it like 8GB"):
        MemoryLimit.of(text)


def test_a_search_above_its_limit_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adarts.searching.memory.predicted_peak", lambda workload: 10**9)
    run = {"runs": tmp_path / "runs", "memory_limit": "300MB", "threads": 1}
    config = search_config(scale="smoke", run=run)
    with pytest.raises(OutOfMemoryError, match="the limit is 300 MB"):
        run_search(config)
    assert not (tmp_path / "runs").exists()


def test_dropout_on_skip_connections_needs_memory() -> None:
    small = replace(SMALL, batch=4, shape=(3, 8, 8))
    assert tensor_bytes(replace(small, skip_dropout=True)) > 1.02 * tensor_bytes(small)


def test_the_largest_operations_of_a_space_whose_nodes_differ() -> None:
    """The prediction of memory takes the operations with the most weights, wherever they are."""
    with torch.device("meta"):
        net = Supernet(get_space("s1"), SupernetSettings(cells=3), EdgeDesign(), num_classes=10)
    found = {kind: _largest(net, kind, 1) for kind in net.space.cell_kinds}
    names = {kind: [net.space.operations[row.index(True)] for row in rows] for kind, rows in found.items()}
    assert names["normal"][:5] == ["dil_conv_3x3", "dil_conv_5x5", "dil_conv_5x5", "sep_conv_3x3", "dil_conv_3x3"]
    assert names["reduction"][-1] == "dil_conv_5x5"
