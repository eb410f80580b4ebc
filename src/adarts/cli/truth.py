"""``adarts truth``: what cells of NAS-Bench-201 are worth, and what searches in that space saw of it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from adarts.cli.options import parse
from adarts.cli.output import table
from adarts.errors import CheckpointError, ConfigError, DataError

if TYPE_CHECKING:
    from adarts.truth import Truth

_FORM = "'|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'"


@dataclass(frozen=True)
class Cells:
    """Look up the true accuracy of cells of NAS-Bench-201, and their rank among all 15,625.

    `adarts truth correlation RUN` compares what the supernet of a search says of cells with the truth; `adarts truth stability SWEEP`
    says how much the true accuracy of what is found depends on the seed.
    """

    cells: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="ARCH...")] = ()
    """Cells: their text in quotes, such as '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|', genotype files, or search runs."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON, with everything that is known."""


FORMS: dict[str, type[Any]] = {}


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Cells, words, "adarts truth")
    if not form.cells:
        raise ConfigError(f"adarts truth needs one or more cells, such as {_FORM}, genotype files, or search runs")
    truths = [_find(word) for word in form.cells]
    if form.json:
        print(json.dumps([asdict(truth) for truth in truths], indent=2))
        return 0
    for number, truth in enumerate(truths):
        if number:
            print()
        _show(truth)
    return 0


def _find(word: str) -> Truth:
    """The truth of what a word names."""
    from adarts.truth import lookup, truth_of

    if "|" in word:
        return lookup(word)
    from adarts.runs import RunFolder  # a file or a run: only these need torch
    from adarts.training.model import resolve_genotype

    place: Path | None = None
    with suppress(OSError):  # a name that no file can have
        place = Path(word) if Path(word).is_file() else None
        with suppress(CheckpointError):
            place = place or RunFolder.find(word, "search")
    if place is None:
        raise DataError(f"'{word[:60]}' is no cell such as {_FORM}, no genotype file, and no search run")
    try:
        return truth_of(resolve_genotype(str(place)))
    except DataError as error:
        raise DataError(str(error) if str(place) in str(error) else f"{place}: {error}") from None


def _show(truth: Truth) -> None:
    from adarts.truth import DATA_SETS, all_truths, same_structure

    known = [truth.on(dataset) for dataset in DATA_SETS]
    twins = same_structure(truth)
    spans = [sorted(twin.on(dataset).test for twin in twins) for dataset in DATA_SETS]
    rows = [
        ["test accuracy, 200 epochs", *(f"{on.test:.2f} %" for on in known)],
        [f"rank among {len(all_truths()):,}", *(f"{on.rank:,}" for on in known)],
        ["points below the best", *(f"{on.regret:.2f}" for on in known)],
        ["validation accuracy, 12 epochs", *(f"{on.validation_12:.2f} %" for on in known)],
        ["test accuracy, 12 epochs", *(f"{on.test_12:.2f} %" for on in known)],
    ]
    if len(twins) > 1:
        rows.append([f"{len(twins)} isomorphic cells", *(f"{low[0]:.2f} to {low[-1]:.2f} %" for low in spans)])
    print(truth.arch)
    table(["", *DATA_SETS.values()], rows)
    print(f"{truth.parameters:,} parameters (10 classes), {truth.macs:,.1f} million MACs an image, index {truth.index}")
