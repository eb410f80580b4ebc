"""``adarts train``: train the network of found, given or random cells."""

from __future__ import annotations

from functools import partial

from adarts.cli.options import parse_settings
from adarts.config.loading import layered, to_yaml, validated
from adarts.config.settings import TrainConfig


def run(words: list[str]) -> int:
    """Carry out the verb."""
    values, beside = parse_settings(TrainConfig, words, "adarts train", partial(layered, TrainConfig))
    config = validated(TrainConfig, values)
    if beside.print_config:
        print(to_yaml(config), end="")
        return 0
    from adarts.training import run_training

    print(run_training(config).run_dir)
    return 0
