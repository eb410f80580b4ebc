"""``adarts search``: search for cells."""

from __future__ import annotations

from adarts.cli.options import ConfigFile, parse_settings
from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig
from adarts.launch import leads, planned, start


class Search(SearchConfig, ConfigFile):
    __doc__ = SearchConfig.__doc__


def run(words: list[str]) -> int:
    """Run ``adarts search``."""
    given, beside = parse_settings(Search, words, "adarts search")
    from adarts.experiments.next_steps import after_search
    from adarts.searching import run_search, search_config

    config = search_config(beside.config, **given)
    if beside.print_config:
        print(to_yaml(config), end="")
    elif config.run.processes > 1 and not planned():
        return start(config.run.processes, ["search", *words])
    else:
        result = run_search(config)
        if not leads():
            return 0
        print(after_search(config, result.run_dir))
        print(result.run_dir)
    return 0
