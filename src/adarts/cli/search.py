"""``adarts search``: search for cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adarts.cli.options import asks_for_help, parse_settings
from adarts.config.loading import layered, to_yaml, validated
from adarts.config.settings import SearchConfig


def run(words: list[str]) -> int:
    """Carry out the verb."""

    def layers(chosen: Mapping[str, Any], config_file: Path | None) -> dict[str, Any]:
        if asks_for_help(words) and "method" not in chosen and config_file is None:
            return layered(SearchConfig, chosen)  # the registry of methods loads torch, for which help should not wait
        from adarts.methods import published

        return layered(SearchConfig, chosen, config_file, published)

    values, beside = parse_settings(SearchConfig, words, "adarts search", layers)
    from adarts.engine import parse_time_limit
    from adarts.methods import canonical, create
    from adarts.searching import run_search
    from adarts.searching.memory import MemoryLimit
    from adarts.searching.phases import checked_phases

    config = canonical(validated(SearchConfig, values))
    # The method's own options, the space and the limits are checked before anything is done or printed.
    checked_phases(config, create(config))
    MemoryLimit.of(config.run.memory_limit)
    if config.run.time_limit is not None:
        parse_time_limit(config.run.time_limit)
    if beside.print_config:
        print(to_yaml(config), end="")
        return 0
    print(run_search(config).run_dir)
    return 0
