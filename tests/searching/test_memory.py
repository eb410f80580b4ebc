"""The predicted memory of a search against what its steps take, and what is said about it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adarts.config.settings import SearchConfig
from adarts.data import ImageData, load_images
from adarts.engine.memory import parse_memory_limit
from adarts.errors import ConfigError, OutOfMemoryError
from adarts.searching import run_search, search_config
from adarts.searching.memory import check_memory, count_bytes, predicted_peak
from adarts.testing import CPU

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


def search(method: str = "adarts", size: int = 8, **given: Any) -> tuple[SearchConfig, ImageData]:
    sections: dict[str, Any] = {
        "supernet": {"channels": 8, "cells": 3},
        "search": {"epochs": 2, "warmup_epochs": 0, "batch_size": 16},
        "images": {"per_class": 16, "size": size},
    }
    for name, values in given.items():
        sections[name] = sections.get(name, {}) | values
    config = search_config(method=method, data="signs", **sections)
    return config, load_images("signs", config.images, 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from Linux's /proc")
@pytest.mark.parametrize(
    ("edge", "supernet"), [({"k": 4}, {}), ({"k": 2}, {"recompute": True, "cells": 4})], ids=["plain", "recomputing"]
)
def test_the_prediction_is_within_15_percent_of_a_process(edge: dict[str, Any], supernet: dict[str, Any]) -> None:
    config, data = search(size=32, edge=edge, supernet=supernet, search={"batch_size": 64})
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(config.model_dump(mode="json")),
        capture_output=True,
        text=True,
        check=True,
    )
    assert predicted_peak(config, data, CPU) == pytest.approx(int(done.stdout), rel=0.15)


@pytest.mark.parametrize("method", ["adarts", "darts-2nd", "gdas"])
def test_two_small_batches_tell_what_a_large_one_takes(method: str) -> None:
    config, data = search(method, size=16)
    few, more, many = (count_bytes(config, data, CPU, batch)[0] for batch in (2, 6, 16))
    assert more + (more - few) / 4 * 10 == pytest.approx(many, rel=0.06)


def test_every_phase_counts() -> None:
    config, data = search("p-darts")
    first, *_, last = count_bytes(config, data, CPU, 2)
    assert last > 1.1 * first  # deeper, though with fewer operations


def test_a_larger_k_and_recomputation_need_less() -> None:
    (needs,) = count_bytes(*search(edge={"k": 2}), CPU, 4)
    for changes in ({"edge": {"k": 4}}, {"edge": {"k": 2}, "supernet": {"recompute": True}}):
        assert count_bytes(*search(**changes), CPU, 4)[0] < 0.8 * needs


def test_a_search_above_its_limit_is_refused_in_a_line_and_leaves_no_folder(tmp_path: Path) -> None:
    run = {"runs": tmp_path / "runs", "memory_limit": "300MB"}
    config, _ = search(run=run)
    with pytest.raises(OutOfMemoryError) as error:
        run_search(config)
    message = str(error.value)
    assert error.value.exit_code == 4 and "\n" not in message and "the limit is 300 MB; choose a smaller" in message
    assert message.endswith("--search.batch-size, a larger --edge.k or --supernet.recompute")
    assert not (tmp_path / "runs").exists()


def test_the_machine_itself_only_warns_and_none_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adarts.searching.memory._memory", lambda device: (10**8, 10**7))
    warning = check_memory(*search(method="darts", supernet={"recompute": True}), CPU)
    assert warning is not None and "this machine has 110 MB" in warning
    assert warning.endswith("--search.batch-size, fewer --supernet.channels")
    assert check_memory(*search(run={"memory_limit": None}), CPU) is None
    assert check_memory(*search(run={"memory_limit": "2GB"}), CPU) is None
    monkeypatch.setattr("adarts.searching.memory._memory", lambda device: (10**8, None))
    assert check_memory(*search(), CPU) is None


@pytest.mark.parametrize(("text", "amount"), [("8GB", 8 * 10**9), ("7.5GiB", 15 * 2**29), (" 512 mb", 512 * 10**6)])
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert parse_memory_limit(text) == amount


@pytest.mark.parametrize(
    "text", ["", "8", "8G", "0GB", "-1GB", "GB", "8 gallons", "1e3GB", "9" * 400 + "GB", "8IB", "none"]
)
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--memory-limit .* write it like 8GB"):
        parse_memory_limit(text)
