"""``adarts train``: train the network of found, given or random cells, or a hand-designed one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adarts.cli.options import asks_for_help, parse_settings
from adarts.config.loading import layered, to_yaml, validated
from adarts.config.settings import TrainConfig


def run(words: list[str]) -> int:
    """Carry out the verb."""

    def layers(chosen: Mapping[str, Any], config_file: Path | None) -> dict[str, Any]:
        if asks_for_help(words):  # genotypes are read with torch, for which help should not wait
            return layered(TrainConfig, chosen, config_file)
        from adarts.training import recipe

        return layered(TrainConfig, chosen, config_file, recipe=recipe)

    values, beside = parse_settings(TrainConfig, words, "adarts train", layers)
    config = validated(TrainConfig, values)
    if beside.print_config:
        print(to_yaml(config), end="")
        return 0
    from adarts.training import run_training

    print(run_training(config).run_dir)
    return 0
