"""``adarts search``: search for cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adarts.cli.options import ConfigFile, parse_settings
from adarts.config.loading import Layers, to_yaml
from adarts.config.settings import SearchConfig


class Search(SearchConfig, ConfigFile):
    __doc__ = SearchConfig.__doc__


def run(words: list[str]) -> int:
    """Carry out the verb."""
    given, beside = parse_settings(Search, words, "adarts search", _defaults)
    from adarts.searching import run_search, search_config

    config = search_config(beside.config, **given)
    if beside.print_config:
        print(to_yaml(config), end="")
    else:
        print(run_search(config).run_dir)
    return 0


def _defaults(given: Mapping[str, Any], config_file: Path | None) -> Mapping[str, Any]:
    if "method" not in given and config_file is None:  # methods load torch, for which help should not wait
        layers = Layers(SearchConfig, given)
        return layers.put_together(layers.chosen["space"])
    from adarts.searching.config import search_layers

    return search_layers(given, config_file)
