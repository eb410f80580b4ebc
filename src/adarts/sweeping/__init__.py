"""Many searches side by side: a grid over seeds, methods and settings, carried out in slots and summed up over the seeds."""

from adarts.sweeping.grid import Point, grid
from adarts.sweeping.sweep import SweepResult, run_sweep

__all__ = ["Point", "SweepResult", "grid", "run_sweep"]
