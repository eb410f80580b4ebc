"""``adarts data``: look at images before a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import print_table
from adarts.config.values import path_or_name
from adarts.errors import ConfigError, DataError

if TYPE_CHECKING:
    from adarts.data.check import DataCheck

_SHOWN = 40  # classes in the table


@dataclass(frozen=True, config=FORM)
class Data:
    """Look at images before a search. `adarts data check PATH` reads them as a search does and tells what it sees."""


@dataclass(frozen=True, config=FORM)
class Check:
    """Read images exactly as a search does: formats, sizes, classes, equal images, broken files. Nothing is changed. With
    the package imagehash, nearly equal images are found as well.

    The exit code is 3 if a search would refuse them.
    """

    data: Annotated[str, Positional("PATH")]
    """A folder of images, a table of labels (CSV), or the name of a data set."""
    json: bool = False
    """Print all facts as JSON, with every broken file and all equal and nearly equal images."""
    max_broken: NonNegativeInt = 0
    """Largest number of unreadable images to leave out, as for a search."""
    validation: Literal["train", "omit"] = "train"
    """Images of a validation folder beside a test folder, as --images.validation of a search."""
    size: PositiveInt | None = None
    """Side of the images in pixels, as --images.size of a search; none: chosen from the images."""
    root: Path = Path("data")
    """Folder of the named data sets."""


FORMS: dict[str, type[Any]] = {"check": Check}


def run(words: list[str]) -> int:
    """Run ``adarts data``."""
    if not words or words[0] not in FORMS:
        parse(Data, [word for word in words if word.startswith("-")], "adarts data")
        raise ConfigError(f"adarts data needs a verb: adarts data check {words[0] if words else 'PATH'}")
    form = parse(Check, words[1:], "adarts data check")
    from adarts.config.settings import ImageSettings
    from adarts.data.check import check_data

    settings = ImageSettings(max_broken=form.max_broken, validation=form.validation, size=form.size, root=form.root)
    found = check_data(path_or_name(form.data), settings, near=True)
    if form.json:
        print(json.dumps(found.record(), indent=2))
    else:
        _show(found)
    return 0 if found.images is not None else DataError.exit_code


def _show(found: DataCheck) -> None:
    from adarts.data.near import NEEDS

    print(found.verdict)
    for title, texts in (("problem", found.problems), ("remark", found.notes)):
        for text in texts:
            print(f"  {title:<10}{text}")
    for name, value in _facts(found.files):
        print(f"  {name:<10}{value}")
    if found.reading and found.images and found.near is None:
        print(f"  missing   {NEEDS}")
    if rows := [[name, f"{train}", f"{test}"] for name, train, test in found.class_counts]:
        print_table(["class", "training", "test"], rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print(f"and {len(rows) - _SHOWN} more classes; --json shows all")


def _facts(files: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts about the files as pairs of name and text."""
    if not files:
        return []
    shares = {name: ", ".join(f"{kind} {n:,}" for kind, n in files[name].items()) for name in ("formats", "pixels")}
    sizes = {name: "x".join(map(str, files["sizes"][name])) for name in ("smallest", "median", "largest")}
    rows = [*shares.items(), ("sizes", ", ".join(f"{name} {size}" for name, size in sizes.items()))]
    rows += [("turned", f"{files['turned']:,} upright by their EXIF data")] if files["turned"] else []
    rows += [("animated", f"{files['animated']:,}, of which the first picture is used")] if files["animated"] else []
    return rows
