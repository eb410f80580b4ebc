"""Sweeps: a grid of searches over seeds, methods and settings, run in parallel and summarized over the seeds.

The functions are loaded on first use: the program that starts a search on another machine needs no torch for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adarts.sweeping.points import Point, grid
    from adarts.sweeping.sweep import SweepResult, run_sweep

__all__ = ["Point", "SweepResult", "grid", "run_sweep"]

_PLACES = {"Point": "points", "grid": "points", "SweepResult": "sweep", "run_sweep": "sweep"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'adarts.sweeping' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"adarts.sweeping.{_PLACES[name]}"), name)
