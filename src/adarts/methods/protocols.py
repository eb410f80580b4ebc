"""Search protocols of benchmarks, for methods without hyper-parameters of their own for the space of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NASBENCH201: Mapping[str, Mapping[str, Any]] = {
    "search": {"batch_size": 64},
    "weights": {
        "learning_rate": 0.025,
        "final_learning_rate": 0.001,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
        "clip": 5.0,
    },
    "alphas": {"learning_rate": 3e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3, "clip": None},
}
"""Search in NAS-Bench-201 (Dong, Yang, ICLR 2020; configs/nas-benchmark/algos of its public code). The learning rate of the
weights fits this batch. The number of epochs is the method's."""
