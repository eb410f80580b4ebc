"""The memory of a step is what it takes, whatever the process held before."""

from __future__ import annotations

import gc

import pytest
import torch

from adarts.engine import footprint

CPU, MIB = torch.device("cpu"), 2**20


def test_what_is_only_garbage_is_no_idle_memory() -> None:
    """Otherwise a step would take its place unseen."""
    cycle: list[object] = [torch.ones(64 * MIB, dtype=torch.uint8)]
    cycle.append(cycle)
    del cycle
    before = footprint.idle(CPU)
    if before is None:
        pytest.skip("no /proc")
    gc.collect()
    taken = torch.ones(64 * MIB, dtype=torch.uint8)
    peak = footprint.largest(CPU)
    assert peak is not None and peak - before > 0.9 * taken.numel()
