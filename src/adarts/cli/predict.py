"""``adarts predict``: the classes of image files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import print_table
from adarts.errors import ConfigError, DataError

_MANY = 100  # images from which on a terminal shows progress


@dataclass(frozen=True, config=FORM)
class Predict:
    """Predict the classes of images. An ONNX file needs no torch. Broken images are named, and the exit code is then 3."""

    model: Annotated[str, Positional("RUN|MODEL.onnx")]
    """A training run (its folder, its name, or latest), or a file of `adarts export --to onnx`."""
    images: Annotated[tuple[str, ...], Positional("IMAGE|FOLDER...")] = ()
    """Image files, and folders that hold some at any depth."""
    top: PositiveInt = 3
    """Number of classes per image, most probable first."""
    json: bool = False
    """Print JSON: a list with image, guesses (name, probability) and error."""
    csv: bool = False
    """Print CSV: one line per image."""
    threads: PositiveInt | None = None
    """CPU threads; none uses all cores."""


def run(words: list[str]) -> int:
    """Run ``adarts predict``."""
    form = parse(Predict, words, "adarts predict")
    if not form.images:
        raise ConfigError("adarts predict needs images or folders of images after the model")
    if form.json and form.csv:
        raise ConfigError("--json and --csv exclude each other")
    from adarts.export.loaded import load
    from adarts.export.predict import Prediction, listed, predictions

    paths = listed(form.images)
    model = load(form.model, form.threads)
    found: list[Prediction] = []
    for one in _with_progress(predictions(model, paths, form.top, form.threads), len(paths)):
        found.append(one)
        if one.error is not None:
            print(f"adarts: {one.image}: {one.error}", file=sys.stderr)
    top = min(form.top, len(model.facts.classes))
    if form.json:
        print(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    elif form.csv:
        _print_csv(found, top)
    else:
        _print_guesses([one for one in found if one.error is None], top)
    if broken := sum(one.error is not None for one in found):
        raise DataError(f"{broken} of {len(found)} images cannot be read")
    return 0


def _with_progress(steps: Iterator[Any], count: int) -> Iterator[Any]:
    if count < _MANY or not sys.stderr.isatty():
        return steps
    from rich.console import Console
    from rich.progress import track

    return iter(track(steps, "images", count, console=Console(stderr=True), transient=True))


def _print_csv(found: Sequence[Any], top: int) -> None:
    head = [name for rank in range(1, top + 1) for name in (f"class_{rank}", f"probability_{rank}")]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["image", *head, "error"])
    for one in found:
        cells = [text for guess in one.guesses for text in (guess.name, f"{guess.probability:.6f}")]
        table.writerow([one.image, *(cells or [""] * len(head)), one.error or ""])


def _print_guesses(found: Sequence[Any], top: int) -> None:
    head = ["image", "class", "%", *(text for rank in range(2, top + 1) for text in (f"{rank}.", "%"))]
    rows = [
        [one.image, *(text for guess in one.guesses for text in (guess.name, f"{100 * guess.probability:.1f}"))]
        for one in found
    ]
    if rows:
        print_table(head, rows)
