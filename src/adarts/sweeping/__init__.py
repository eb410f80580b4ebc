"""Sweeps: a grid of searches over seeds, methods and settings, run in parallel and summarized over the seeds."""

from adarts.sweeping.grid import Point, grid
from adarts.sweeping.sweep import SweepResult, run_sweep

__all__ = ["Point", "SweepResult", "grid", "run_sweep"]
