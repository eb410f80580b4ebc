"""What stands in for CUDA graphs where there is no GPU: it 'replays' by calling the function again, on the recording's inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adarts.engine.capture import CudaGraphs, Outputs


class Again(CudaGraphs):
    """Counts what a real recorder would do."""

    def __init__(self) -> None:
        self.warm_ups = self.recordings = self.replays = 0

    def warm_up(self, function: Callable[[], Outputs]) -> Outputs:
        self.warm_ups += 1
        return function()

    def record(self, function: Callable[[], Outputs]) -> Callable[[], Outputs]:
        self.recordings += 1

        def replay() -> Outputs:
            self.replays += 1
            return function()

        return replay


def run_ahead(monkeypatch: pytest.MonkeyPatch, recorder: CudaGraphs | None = None) -> None:
    """Let the CPU be driven like a GPU: fused optimizers, checks now and then, and steps that are recorded."""
    for module in ("optimizers", "update"):
        monkeypatch.setattr(f"adarts.engine.{module}.runs_ahead", lambda device: True)
    for module in ("searching.step", "training.task"):
        monkeypatch.setattr(f"adarts.{module}.recorder", lambda settings, device: recorder)
