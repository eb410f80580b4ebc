"""``adarts train``: train a fixed network, built from cells or hand-designed."""

from __future__ import annotations

from adarts.cli.options import ConfigFile, parse_settings
from adarts.config.loading import to_yaml
from adarts.config.settings import TrainConfig
from adarts.launch import leads, planned, start


class Train(TrainConfig, ConfigFile):
    __doc__ = TrainConfig.__doc__


def run(words: list[str]) -> int:
    """Run ``adarts train``."""
    given, beside = parse_settings(Train, words, "adarts train")
    from adarts.experiments.next_steps import after_training
    from adarts.training import run_training, train_config

    config = train_config(beside.config, **given)
    if beside.print_config:
        print(to_yaml(config), end="")
    elif config.run.processes > 1 and not planned():
        return start(config.run.processes, ["train", *words])
    else:
        result = run_training(config)
        if not leads():
            return 0
        print(after_training(config, result.run_dir))
        print(result.run_dir)
    return 0
