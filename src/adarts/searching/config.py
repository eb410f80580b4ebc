"""Build the configuration of a search from the user's settings, a file, the scale and the method's published values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adarts.config.loading import Layers, Values, validated
from adarts.config.settings import SearchConfig
from adarts.data import settings_of
from adarts.engine import parse_time_limit, scale_of_machine
from adarts.methods import create, get_method, published, resolve_options
from adarts.searching.phases import checked_phases
from adarts.spaces import NASBENCH201


def search_config(config_file: Path | str | None = None, **given: Any) -> SearchConfig:
    """The complete, checked configuration of a search.

    Args:
        config_file: a YAML file with some or all settings.
        given: settings that override everything else: ``data``, ``method``, ``scale``, ``seed``, and sections as mappings or
            settings objects, e.g. ``search={"epochs": 3}``.

    Raises:
        ConfigError: a name, value or combination is invalid; the message is one line.
    """
    return checked_search(search_layers(given, config_file))


def search_layers(given: Values, config_file: Path | str | None = None) -> dict[str, Any]:
    """Merge all layers into a complete configuration; rules between settings are not checked yet."""
    layers = Layers(SearchConfig, given, {"scale": scale_of_machine, "method": _method_for_space}, config_file)
    method, space = layers.chosen["method"], layers.chosen["space"]
    family = get_method(method).info.family
    return layers.put_together(space, published(method, space), f"method '{method}'", settings_of, family)


def _method_for_space(settings: Values) -> str:
    """The method that finds the best cells of a space on two cores, as far as we measured (results/README.md)."""
    return "adarts-trials" if settings["space"] == NASBENCH201.name else "trials"


def usual_layers(config: SearchConfig) -> dict[str, Any]:
    """Settings that a search with these images, method, scale and space has if nobody changes them."""
    return search_layers({name: getattr(config, name) for name in ("data", "method", "scale", "space")})


def checked_search(values: Values) -> SearchConfig:
    """Validate the settings, parse the method's options and check all rules."""
    config = resolve_options(validated(SearchConfig, values))
    checked_phases(config, create(config))
    parse_time_limit(config.run.time_limit)
    return config
