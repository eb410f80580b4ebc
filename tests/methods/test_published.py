"""Every method searches with what its authors publish: the table in published.yaml against the configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adarts.config.reading import read_yaml
from adarts.config.settings import AlphaOptimizer
from adarts.methods import get_method, list_methods
from adarts.searching import search_config

TABLE = read_yaml(Path(__file__).with_name("published.yaml"))
WEIGHTS = {"learning_rate", "final_learning_rate", "momentum", "nesterov", "weight_decay", "clip"}
SECTIONS = {
    "edge": {"selector", "k", "attention", "normalization"},
    "supernet": {"channels", "cells"},
    "search": {"epochs", "batch_size", "warmup_epochs"},
    "weights": WEIGHTS,
    "alphas": set(AlphaOptimizer.model_fields),
}
"""What a method publishes at least."""
METHODS = [info.name for info in list_methods() if info.name != "trials"]
"""`trials` is of this project, has no alphas, and nobody else has published values for it."""


def test_the_table_has_every_method_and_no_other() -> None:
    assert TABLE.keys() == set(METHODS)


def sections(method: str) -> dict[str, set[str]]:
    """What a method publishes at least; only methods with alphas publish how these learn."""
    has_alphas = get_method(method).info.family == "gradient"
    return {name: fields for name, fields in SECTIONS.items() if has_alphas or name != "alphas"}


@pytest.mark.parametrize("space", ["darts", "nasbench201"])
@pytest.mark.parametrize("method", METHODS)
def test_the_paper_s_scale_has_the_published_values(method: str, space: str) -> None:
    published: dict[str, Any] = dict(TABLE[method][space])
    assert published.pop("source")
    config = search_config(method=method, space=space, scale="paper", data="cifar10").model_dump()
    assert published.keys() == sections(method).keys() | {"options"}
    assert published.pop("options") == config["options"]
    for section, values in published.items():
        assert SECTIONS[section] <= values.keys(), section
        assert values == {name: config[section][name] for name in values}, section


@pytest.mark.parametrize("method", METHODS)
def test_a_method_writes_all_of_its_values_out(method: str) -> None:
    written = get_method(method).info.defaults
    missing = {name: fields - written.get(name, {}).keys() for name, fields in sections(method).items()}
    assert not any(missing.values()), missing
