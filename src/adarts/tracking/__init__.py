"""Trackers: TensorBoard, Weights & Biases and MLflow get a copy of a run's metrics, configuration and cells.

`metrics.jsonl` stays the truth. A tracker starts from its records, so it has every epoch once, however often the run was
interrupted, and a tracker that fails is left out while the run goes on.
"""

from adarts.tracking.trackers import Trackers, require_installed

__all__ = ["Trackers", "require_installed"]
