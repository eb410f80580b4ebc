"""What no setting takes, however it is given."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from adarts.config.loading import to_yaml, validated
from adarts.config.settings import SearchConfig, code_in, code_options
from adarts.errors import ConfigError
from adarts.searching import search_config

REFUSED = [
    ("search", "epochs", True, "must be a number, not True"),
    ("alphas", "clip", True, "must be a number, not True"),
    ("images", "size", False, "must be a number, not False"),
    ("weights", "momentum", False, "must be a number, not False"),
    ("weights", "learning_rate", math.inf, "must be a finite number, not inf"),
    ("alphas", "clip", math.nan, "must be a finite number, not nan"),
    ("weights", "clip", math.nan, "must be greater than 0, not nan"),
]


@pytest.mark.parametrize(("section", "name", "value", "message"), REFUSED)
def test_flags_and_infinities_for_numbers(section: str, name: str, value: Any, message: str) -> None:
    given = {section: {name: value}}
    with pytest.raises(ConfigError) as caught:
        search_config(**given)
    assert str(caught.value) == f"{section}.{name} {message}"
    with pytest.raises(ConfigError) as caught:
        validated(SearchConfig, given)
    assert str(caught.value) == f"{section}.{name}: {message}"


def test_numbers_are_still_converted_and_flags_are_flags() -> None:
    config = validated(
        SearchConfig, {"seed": "3", "alphas": {"clip": "1", "weight_decay": 1}, "weights": {"nesterov": True}}
    )
    assert (config.seed, config.alphas.clip, config.alphas.weight_decay, config.weights.nesterov) == (3, 1.0, 1.0, True)


def test_infinity_where_it_means_no_limit(tmp_path: Path) -> None:
    limits = {"weights": {"clip": math.inf}, "run": {"checkpoint_minutes": "inf"}}
    config = search_config(**limits)
    assert (config.weights.clip, config.run.checkpoint_minutes) == (math.inf, math.inf)
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config))
    assert search_config(file) == config


def test_what_stands_in_a_file_is_named_again_by_every_command_that_may_execute_it() -> None:
    config = SearchConfig(method="a.py:Mine", space="darts", data="folder:b.py/c")
    assert code_in(config) == {"method": "a.py:Mine"} and code_options(config) == ["--method", "a.py:Mine"]
    config = config.model_copy(update={"method": "adarts", "space": "b/c.py:MY", "data": "d.py:load"})
    assert code_options(config) == ["--data", "d.py:load", "--space", "b/c.py:MY"]  # in the order of the settings
