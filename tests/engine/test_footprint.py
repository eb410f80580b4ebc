"""The memory of a step is what it takes, whatever the process held before."""

from __future__ import annotations

import gc

import pytest
import torch

from adarts.engine import footprint

CPU, SIZE = torch.device("cpu"), 64 * 2**20


def test_what_is_only_garbage_is_no_idle_memory() -> None:
    """Otherwise a step would take its place unseen."""
    before = footprint.idle(CPU)
    if before is None:
        pytest.skip("no /proc")
    gc.disable()  # nothing frees it by chance
    try:
        cycle: list[object] = [torch.ones(SIZE, dtype=torch.uint8)]
        cycle.append(cycle)
        del cycle
        after = footprint.idle(CPU)
    finally:
        gc.enable()
    assert after is not None and after - before < SIZE / 2
