"""Run folders as the search and training loops leave them, without running either."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig, TrainConfig
from adarts.spaces import DARTS, Space, derive, get_space, random_genotype

MakeRun = Callable[..., Path]


def write_run(
    path: Path, config: SearchConfig | TrainConfig, records: list[Any], summary: dict[str, Any] | None
) -> Path:
    path.mkdir()
    (path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    (path / "environment.json").write_text(json.dumps({"device": "cpu", "cpu": "two <slow> cores", "continued": []}))
    (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    if summary is not None:
        (path / "summary.json").write_text(json.dumps(summary))
    return path


def search_record(epoch: int, beta: bool, skips: int, space: Space = DARTS) -> dict[str, Any]:
    random = torch.Generator().manual_seed(epoch)
    size = len(space.edges), len(space.operations)
    weights = {kind: torch.randn(size, generator=random).softmax(-1) for kind in space.cell_kinds}
    record: dict[str, Any] = {
        "epoch": epoch,
        "learning_rate": 0.025,
        "train_loss": 2.0 / (epoch + 1),
        "train_accuracy": 0.5,
        "alphas_loss": None if epoch == 0 else 2.1,
        "alphas_accuracy": None if epoch == 0 else 0.4,
        "skips": {"normal": skips, "reduction": 0},
        "weight_free": {"normal": skips, "reduction": 0},
        "entropy": dict.fromkeys(weights, 2.0),
        "operation_margin": dict.fromkeys(weights, 0.01),
        "edge_margin": dict.fromkeys(weights, 0.0),
        "channel_stability": None,
        "operation_weights": {kind: value.tolist() for kind, value in weights.items()},
        "genotype": derive(space, weights, None).to_dict(),
    }
    if beta:
        record["edge_weights"] = {kind: [0.5] * len(space.edges) for kind in space.cell_kinds}
    return record


@pytest.fixture
def search_run(tmp_path: Path) -> MakeRun:
    def make(
        name: str = "search", *, epochs: int = 3, finished: bool = True, beta: bool = False, **config: Any
    ) -> Path:
        space = get_space(config.get("space", "darts"))
        records = [search_record(epoch, beta, 1, space) for epoch in range(epochs)]
        summary = {
            "kind": "search",
            "seconds": 75.0,
            "initial_genotype_differs": True,
            "supernet_parameters": 410_682,
        }
        return write_run(
            tmp_path / name, SearchConfig(**{"method": "adarts", **config}), records, summary if finished else None
        )

    return make


@pytest.fixture
def train_run(tmp_path: Path) -> MakeRun:
    def make(name: str = "train", *, epochs: int = 3, finished: bool = True, **config: Any) -> Path:
        genotype = random_genotype(DARTS, seed=1)
        records = [
            {"epoch": epoch, "learning_rate": 0.1, "drop_path": 0.0, "train_loss": 1.0, "train_accuracy": 0.875}
            for epoch in range(epochs)
        ]
        summary = {
            "kind": "train",
            "seconds": 4980,
            "genotype_source": config.get("genotype", "random:1"),
            "test_accuracy": 0.9754,
            "test_loss": 0.1,
            "test_images": 1412,
            "parameters": 2_897_902,
            "auxiliary_parameters": 476_426,
            "macs": 469_123_456,
            "training_accuracy": 0.99,
        }
        path = write_run(tmp_path / name, TrainConfig(**config), records, summary if finished else None)
        (path / "genotype.json").write_text(genotype.to_json())
        return path

    return make
