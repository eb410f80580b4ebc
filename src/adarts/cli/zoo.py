"""``adarts zoo``: list the published cells and hand-designed networks, or show one."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adarts.spaces import Genotype
    from adarts.zoo import Record


_NOTE = """
C10, C100: published test errors in per cent on CIFAR-10 and CIFAR-100.
published: million parameters, as published; counted: those of our network
(36 channels and 20 cells where it has cells, 10 classes, no auxiliary head).
`adarts zoo show NAME` shows one: sources, remarks, cells."""

_LARGEST = {"channels": 10_000, "cells": 1_000, "num_classes": 1_000_000, "image_size": 10_000}
"""What is counted in seconds and without overflow."""


@dataclass(frozen=True, config=FORM)
class List:
    """List the published cells and hand-designed networks: published test errors in per cent and sizes in million parameters,
    beside the size that we count (10 classes; cells with 36 channels, 20 cells).

    `adarts zoo show NAME` shows one, at any size.
    """

    filter: str | None = None
    """Only those in whose names, title, method or paper this text stands."""
    sort: Literal["name", "year", "error", "size"] = "name"
    """In which order; error is the published one on CIFAR-10, size the counted one."""
    json: bool = False
    """Print JSON, with everything that is known."""


@dataclass(frozen=True, config=FORM)
class Show:
    """Show a network of the zoo: its figures, its cells, and its parameters and multiply-accumulate operations at any size."""

    name: Annotated[str, Positional("NAME")]
    """Published cells or a hand-designed network by name; or any cells that `adarts train --genotype` takes: a run's folder, a
    genotype file or its text, random:SEED."""
    channels: int | None = None
    """Channels of the first cells; 36 if not given. Hand-designed networks have their own."""
    cells: int | None = None
    """Number of cells; 20 if not given."""
    num_classes: int = 10
    """Classes to tell apart."""
    image_size: int = 32
    """Side of the images in pixels."""
    svg: Path | None = None
    """Draw each cell: cells.svg gives cells_normal.svg and cells_reduction.svg."""
    json: bool = False
    """Print JSON, with everything that is known."""


FORMS: dict[str, type[Any]] = {"show": Show}


def run(words: list[str]) -> int:
    """Carry out the verb."""
    if words and words[0] == "show":
        return _show(parse(Show, words[1:], "adarts zoo show"))
    if words and words[0] != "list" and not words[0].startswith("-"):  # a name alone is shown
        return _show(parse(Show, words, "adarts zoo show"))
    return _list(parse(List, words[1:] if words and words[0] == "list" else words, "adarts zoo"))


def _list(form: List) -> int:
    from adarts.zoo import select

    found = select(form.filter, form.sort)
    if form.json:
        print(json.dumps([_facts(record) for record in found], indent=2, ensure_ascii=False))
        return 0
    if not found:
        raise ConfigError(f"nothing in the zoo has '{form.filter}' in its names, title, method or paper")
    _table(found)
    print(_NOTE)
    return 0


def _table(found: Sequence[Record]) -> None:
    """Prints a record a line; where the terminal is too narrow, the titles are cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200  # what reads a pipe has no margin
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("name", no_wrap=True)
    for head in ("year", "C10", "C100", "published", "counted"):
        grid.add_column(head, justify="right", no_wrap=True)
    grid.add_column("what")
    for record in found:
        grid.add_row(
            record.name,
            _figure(record.year, "d"),
            _figure(record.cifar10_error, ".2f"),
            _figure(record.cifar100_error, ".2f"),
            _figure(record.size, ""),
            _figure(record.parameters / 1e6, ".3f"),
            Text(record.title, no_wrap=True, overflow="ellipsis"),
        )
    console.print(grid)


def _show(form: Show) -> int:
    from adarts.report.cells import cell_lines
    from adarts.spaces import Genotype
    from adarts.zoo import Entry
    from adarts.zoo.catalog import CELLS, CHANNELS
    from adarts.zoo.create import count

    found = _find(form.name)
    drawn = found.genotype if isinstance(found, Entry) else found if isinstance(found, Genotype) else None
    if form.svg is not None and drawn is None:
        raise ConfigError(f"{form.name} has no cells to draw")
    for name, largest in _LARGEST.items():
        if (getattr(form, name) or 0) > largest:
            raise ConfigError(f"--{name.replace('_', '-')} is at most {largest:,}")
    parameters, macs = count(
        found if isinstance(found, Genotype) else found.name,
        form.num_classes,
        form.channels,
        form.cells,
        form.image_size,
    )
    written = [] if form.svg is None or drawn is None else _draw(drawn, form.svg)
    if form.json:
        asked = {name: getattr(form, name) for name in ("channels", "cells", "num_classes", "image_size")}
        shown = {**asked, "parameters": parameters, "macs": macs, "svg": [str(path) for path in written]}
        print(json.dumps({**_facts(found), "shown": shown}, indent=2, ensure_ascii=False))
        return 0
    if isinstance(found, Genotype):
        print(f"cells of the space {found.space}")
    else:
        print(f"{found.name}: {found.title}")
        print("\n".join(_told(found)))
    if drawn is not None:
        for kind in drawn.cells:
            print(f"\n{kind} cell; 0 and 1 are the outputs of the cells before it")
            print("\n".join(f"  {line}" for line in cell_lines(drawn, kind)))
    size = f"{form.num_classes} class{'es' * (form.num_classes > 1)}, {form.image_size}x{form.image_size} pixels"
    if drawn is not None:
        channels, cells = form.channels or CHANNELS, form.cells or CELLS
        size = f"{channels} channel{'s' * (channels > 1)}, {cells} cell{'s' * (cells > 1)}, {size}"
    print(f"\n{parameters:,} parameters, {macs / 1e6:,.1f} million MACs an image ({size})")
    for path in written:
        print(path)
    return 0


def _find(reference: str) -> Record | Genotype:
    """The record of a network of the zoo, or other cells."""
    from adarts.training.model import resolve_genotype
    from adarts.zoo import find, record

    of_no_name = re.search(r"[:({|/]", reference) or Path(reference).exists()
    return resolve_genotype(reference) if find(reference) is None and of_no_name else record(reference)


def _draw(genotype: Genotype, place: Path) -> list[Path]:
    """Writes a drawing of each cell beside a place."""
    from adarts.report.cells import cell_svg

    if place.is_dir():
        raise DataError(f"{place}: a folder; name a file in it, e.g. {place / 'cells.svg'}")
    if place.suffix.lower() not in ("", ".svg"):
        raise ConfigError(f"--svg {place}: drawings are SVG, not {place.suffix}; name a file that ends in .svg")
    paths = [place.with_name(f"{place.stem}_{kind}{place.suffix or '.svg'}") for kind in genotype.cells]
    for kind, path in zip(genotype.cells, paths, strict=True):
        try:
            path.write_text(cell_svg(genotype, kind), encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    return paths


def _told(record: Record) -> list[str]:
    """The facts of a network for people."""
    errors = {"CIFAR-10": record.cifar10_error, "CIFAR-100": record.cifar100_error}
    published = [f"{error:.2f} % error on {data}" for data, error in errors.items() if error is not None]
    published += [] if record.size is None else [f"{record.size} million parameters"]
    told = {
        "method": record.method,
        "paper": record.paper or "not known",
        "cells from": _source(record),
        "published": f"{', '.join(published)} ({record.figures})" if published else "no figures that we know of",
    }
    lines = [f"{name}: {value}" for name, value in told.items() if value is not None]
    return lines + [f"remark: {remark}" for remark in record.remarks]


def _source(record: Record) -> str | None:
    named = "" if record.source_name in (None, record.name) else f", as {record.source_name}"
    return None if record.source is None else f"{record.source}{named}"


def _facts(record: Record | Genotype) -> dict[str, Any]:
    """Everything that is known of a network, as plain JSON; the cells are called as everywhere else."""
    from adarts.zoo import Record

    if not isinstance(record, Record):
        return {"genotype": record.to_dict()}
    known = asdict(record)
    genotype = known.pop("document", None)
    return known if genotype is None else {**known, "genotype": genotype}


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
