"""The configuration of a search, put together from what somebody asks for and what its method publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adarts.config.loading import Layers, Values, validated
from adarts.config.settings import SearchConfig
from adarts.data import settings_of
from adarts.engine import parse_time_limit, scale_of_machine
from adarts.methods import create, published, resolve_options
from adarts.searching.phases import checked_phases


def search_config(config_file: Path | str | None = None, **given: Any) -> SearchConfig:
    """The complete configuration of a search that can be carried out.

    Args:
        config_file: a YAML file with some or all settings.
        given: what outweighs everything else: ``data``, ``method``, ``scale``, ``seed``, and sections as mappings or settings,
            e.g. ``search={"epochs": 3}``.

    Raises:
        ConfigError: a name, value or combination that cannot work; one line.
    """
    return checked_search(search_layers(given, config_file))


def search_layers(given: Values, config_file: Path | str | None = None) -> dict[str, Any]:
    """All layers merged: complete, but the rules that tie several settings together not yet checked."""
    layers = Layers(SearchConfig, given, scale_of_machine, config_file)
    method = layers.chosen["method"]
    return layers.put_together(layers.chosen["space"], published(method), f"method '{method}'", settings_of)


def checked_search(values: Values) -> SearchConfig:
    """The search of these settings, with its options as its method reads them, and all rules checked."""
    config = resolve_options(validated(SearchConfig, values))
    checked_phases(config, create(config))
    parse_time_limit(config.run.time_limit)
    return config
