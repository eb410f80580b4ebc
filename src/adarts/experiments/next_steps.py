"""Commands that somebody can type next: at the beginning, after a search, after a training."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `adarts --help` shows the commands below, and must not wait for settings or torch
    from adarts.config.settings import SearchConfig, TrainConfig

NEXT_STEPS: tuple[tuple[str, str], ...] = (
    ("your own images, one folder a class", "adarts search --data folder:PATH"),
    ("then train the network of the found cells", "adarts train --data folder:PATH"),
    ("CIFAR-10, as much as this machine can carry", "adarts search --data cifar10 --download"),
    ("the paper's search, on a GPU", "adarts search --data cifar10 --download --scale paper"),
)
"""What a command is for, and the command. The demo, its page and ``adarts`` alone show them."""


def in_lines() -> str:
    """The commands as lines for a terminal."""
    width = max(len(command) for _, command in NEXT_STEPS)
    return "\n".join(f"  {command:<{width}}  # {what}" for what, command in NEXT_STEPS)


def after_search(config: SearchConfig, run_dir: Path) -> str:
    """The command that trains the network of the found cells."""
    return f"next: {_train(config, str(run_dir))}"


def after_training(config: TrainConfig, run_dir: Path) -> str:
    """How to use the trained model; for the cells of a search also how to compare them with random ones."""
    from adarts.engine import GENOTYPE_FILE
    from adarts.spaces import load_genotype

    lines = [f"next: use it in Python: model, facts = adarts.load_model({str(run_dir)!r})"]
    if config.genotype is not None and Path(config.genotype).is_dir():
        space = load_genotype(run_dir / GENOTYPE_FILE).space
        lines.append(f"next: compare it with a random cell: {_train(config, f'random:{space}:1')}")
    return "\n".join(lines)


def _train(config: SearchConfig | TrainConfig, genotype: str) -> str:
    from adarts.config.settings import ImageSettings, code_in

    words = ["adarts", "train", "--genotype", genotype, "--data", config.data, "--scale", config.scale]
    if config.images.root != ImageSettings().root:
        words += ["--images.root", str(config.images.root)]
    if (space := code_in(config).get("space")) is not None:  # its operations are needed again
        words += ["--space", space]
    return shlex.join(words)
