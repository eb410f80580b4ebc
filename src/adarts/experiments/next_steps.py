"""Suggested next commands: at the beginning, after a search, after a sweep, and after a training."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `adarts --help` shows the commands below, and must not wait for settings or torch
    from adarts.config.settings import SearchConfig, TrainConfig

NEXT_STEPS: tuple[tuple[str, str], ...] = (
    ("from a folder of images to a network as a file, within this time", "adarts run PATH --time-budget 12m"),
    ("search on your own images, one folder per class", "adarts search --data folder:PATH"),
    ("then train the network of the found cells", "adarts train --data folder:PATH"),
    ("search on CIFAR-10 with a budget for this machine", "adarts search --data cifar10 --download"),
    ("run the paper's search on a GPU", "adarts search --data cifar10 --download --method adarts --scale paper"),
)
"""Pairs of purpose and command. ``adarts`` without arguments, the demo and its page show them."""


def in_lines() -> str:
    """The commands as lines for a terminal."""
    width = max(len(command) for _, command in NEXT_STEPS)
    return "\n".join(f"  {command:<{width}}  # {what}" for what, command in NEXT_STEPS)


def after_search(config: SearchConfig, run_dir: Path) -> str:
    """The command that trains the network of the found cells on the images of the search."""
    from adarts.config.settings import code_in
    from adarts.searching.config import usual_layers

    usual = usual_layers(config)["images"]
    words = ["adarts", "train", "--genotype", str(run_dir), "--data", config.data, "--scale", config.scale]
    for name in (
        "root",
        "size",
        "channels",
        "test_fraction",
        "max_broken",
    ):  # they determine the images and the test set
        if (value := getattr(config.images, name)) != usual[name]:
            words += [f"--images.{name.replace('_', '-')}", str(value)]
    if (space := code_in(config).get("space")) is not None:  # the training needs its operations
        words += ["--space", space]
    return f"next: {shlex.join(words)}"


def after_sweep(folder: Path, trained: bool) -> str:
    """How to look at a sweep and, if its cells were not trained, how to learn what they are worth."""
    lines = [f"next: all searches on one page: {shlex.join(['adarts', 'report', str(folder)])}"]
    if not trained:
        lines.append("next: train the found cells, and random ones beside them: the same command with --train")
    return "\n".join(lines)


def after_training(config: TrainConfig, run_dir: Path) -> str:
    """How to use the trained model and, after a search, how to train a random cell with the same budget."""
    from adarts.config.settings import code_options
    from adarts.engine import GENOTYPE_FILE
    from adarts.spaces import load_genotype
    from adarts.spaces.spaces import OWN

    lines = [
        f"next: the classes of your pictures: {shlex.join(['adarts', 'predict', str(run_dir)])} photos",
        f"next: a file for other programs: {shlex.join(['adarts', 'export', str(run_dir), '--to', 'onnx'])}",
        f"next: use it in Python: model, facts = adarts.load_model({str(run_dir)!r})",
    ]
    if config.genotype is not None and os.path.isdir(config.genotype):  # noqa: PTH112 - never raises, even for a long text
        space = load_genotype(run_dir / GENOTYPE_FILE).space
        words = ["adarts", "train", "--config", str(run_dir / "config.yaml"), *code_options(config)]
        words += ["--genotype", f"random:{space}:1", "--run-dir", f"{run_dir}-random"]
        if space in OWN:  # a random cell of a user's space would need its file
            lines.append(f"next: train a random cell with the same budget: {shlex.join(words)}")
    return "\n".join(lines)
