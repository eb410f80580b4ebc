"""``adarts evaluate``: measure a trained network on the test images."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import print_table
from adarts.config.values import Images

_SHOWN = 40  # classes in the table


@dataclass(frozen=True, config=FORM)
class Evaluate:
    """Measure a trained network on the test images of its data set."""

    run: Annotated[str, Positional("RUN")]
    """A training run: its folder, its name, or latest."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: PositiveInt | None = None
    """CPU threads; none uses torch's default."""
    data: Images | None = None
    """Other images with the same classes, or the moved ones of the training. If your own file, path/to/file.py:NAME, loaded the
    images, name it again; it is executed."""
    json: bool = False
    """Print all figures as JSON."""


def run(words: list[str]) -> int:
    """Run ``adarts evaluate``."""
    form = parse(Evaluate, words, "adarts evaluate")
    from adarts.config.settings import RunSettings
    from adarts.engine import RunFolder
    from adarts.training import evaluate
    from adarts.training.results import beside

    how = RunSettings(device=form.device, threads=form.threads)
    result = evaluate(RunFolder.find(form.run, "train"), how, form.data)
    if form.json:
        print(json.dumps(result, indent=2))
        return 0
    rows = [
        [
            one["name"],
            f"{one['images']}",
            *("–" if one[of] is None else f"{one[of]:.2%}" for of in ("accuracy", "precision")),
        ]
        for one in result["test_classes"]
        if one["images"]
    ]
    print_table(["class", "images", "found", "precision"], rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print(f"and {len(rows) - _SHOWN} more classes; --json shows all")
    measured = f"test accuracy {result['test_accuracy']:.2%} of {result['test_images']:,} images, loss {result['test_loss']:.4f}"
    print(f"{measured}; {beside(result)}")
    if not result["same_images"]:
        print(
            "warning: these are not the images of the training; some of them may have been trained on", file=sys.stderr
        )
    return 0
