"""``adarts evaluate``: measure a trained network on the test images."""

from __future__ import annotations

from typing import Annotated

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse


@dataclass(frozen=True, config=FORM)
class Evaluate:
    """Measure a trained network on the test images of its data set."""

    run: Annotated[str, Positional("RUN")]
    """A training run: its folder, its name, or latest."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: PositiveInt | None = None
    """CPU threads; none uses torch's default."""
    data: str | None = None
    """The data of the training once more, path/to/file.py:NAME, if it was loaded by your own file; the file is executed."""


def run(words: list[str]) -> int:
    """Run ``adarts evaluate``."""
    form = parse(Evaluate, words, "adarts evaluate")
    from adarts.config.settings import RunSettings
    from adarts.engine import RunFolder
    from adarts.training import evaluate

    how = RunSettings(device=form.device, threads=form.threads)
    result = evaluate(RunFolder.find(form.run, "train"), how, form.data)
    print(
        f"test accuracy {result['test_accuracy']:.2%} of {result['test_images']:,} images, loss {result['test_loss']:.4f}"
    )
    return 0
