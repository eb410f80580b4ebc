"""Search protocols of benchmarks, for methods without hyper-parameters of their own for the space of a benchmark."""

from __future__ import annotations

import math
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

CHILDREN: Mapping[str, Mapping[str, Any]] = {
    "edge": {"selector": "all", "k": 1, "attention": False, "normalization": False},
    "supernet": {"channels": 16, "cells": 8},
    "search": {"epochs": 25, "batch_size": 64, "warmup_epochs": 0},
    "weights": {
        "learning_rate": 0.025,
        "final_learning_rate": 0.001,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
        "clip": math.inf,
    },
}
"""The training of a single cell in a search: R-EA.config of the same code, in a network as large as the supernet of DARTS."""

NASBENCH201_CHILDREN: Mapping[str, Mapping[str, Any]] = {
    "search": {"epochs": 12, "batch_size": 256},
    "weights": {"learning_rate": 0.1, "final_learning_rate": 0.0},
}
"""What differs in NAS-Bench-201: the training of 12 epochs that its searchers are judged with (hyper-opts/12E.config)."""
