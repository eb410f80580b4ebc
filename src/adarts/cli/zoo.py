"""``adarts zoo``: list the published cells and hand-designed networks, or show one."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import print_table
from adarts.errors import ConfigError, DataError

if TYPE_CHECKING:
    from adarts.spaces import Genotype
    from adarts.zoo import Record


_NOTE = """
C10, C100: published test errors in percent on CIFAR-10 and CIFAR-100.
published: million parameters as published; counted: million parameters
of our network (10 classes, no auxiliary head; cells: 36 channels, 20 cells).
`adarts zoo show NAME` shows one network: sources, remarks, cells."""


@dataclass(frozen=True, config=FORM)
class List:
    """List the published cells and hand-designed networks, with their published test errors in percent and sizes in million
    parameters, and the size of our network (10 classes; cells: 36 channels, 20 cells).

    `adarts zoo show NAME` shows one network, at any size.
    """

    filter: str | None = None
    """Only networks with this text in a name, title, method or paper."""
    sort: Literal["name", "year", "error", "size"] = "name"
    """Sort key; error: published test error on CIFAR-10, size: counted parameters."""
    json: bool = False
    """Print all facts as JSON."""


@dataclass(frozen=True, config=FORM)
class Show:
    """Show a network: published errors and sizes, cells, and its parameters and multiply-accumulate operations at any size."""

    name: Annotated[str, Positional("NAME")]
    """A network in the zoo, or any cells that `adarts train --genotype` accepts: a run's folder, a genotype file or its text,
    random:SEED."""
    channels: Annotated[int, Field(le=10_000)] | None = None
    """Channels of the first cells; 36 if not given. Hand-designed networks have their own."""
    cells: Annotated[int, Field(le=1_000)] | None = None
    """Number of cells; 20 if not given."""
    num_classes: Annotated[int, Field(le=1_000_000)] = 10
    """Number of classes."""
    image_size: Annotated[int, Field(le=10_000)] = 32
    """Side of the images in pixels."""
    svg: Path | None = None
    """Draw each cell: cells.svg writes cells_normal.svg and cells_reduction.svg."""
    json: bool = False
    """Print all facts as JSON."""


FORMS: dict[str, type[Any]] = {"show": Show}


def run(words: list[str]) -> int:
    """Run ``adarts zoo``."""
    if words and words[0] != "list" and not words[0].startswith("-"):  # NAME means show NAME
        return _show(parse(Show, words[words[0] == "show" :], "adarts zoo show"))
    return _list(parse(List, words[words[:1] == ["list"] :], "adarts zoo"))


def _list(form: List) -> int:
    from adarts.zoo import select

    found = select(form.filter, form.sort)
    if form.json:
        print(json.dumps([_facts(record) for record in found], indent=2, ensure_ascii=False))
        return 0
    if not found:
        raise ConfigError(f"no network in the zoo has '{form.filter}' in its names, title, method or paper")
    rows = []
    for one in found:
        errors = ["" if error is None else f"{error:.2f}" for error in (one.cifar10_error, one.cifar100_error)]
        sizes = [str(one.size or ""), f"{one.parameters / 1e6:.3f}"]
        rows.append([one.name, str(one.year or ""), *errors, *sizes, one.title])
    print_table(["name", "year", "C10", "C100", "published", "counted", "what"], rows, wrap=False)
    print(_NOTE)
    return 0


def _show(form: Show) -> int:
    from adarts.report.cells import cell_lines
    from adarts.spaces import Genotype
    from adarts.zoo import Entry
    from adarts.zoo.catalog import CELLS, CHANNELS
    from adarts.zoo.create import count

    found = _find(form.name)
    drawn = found.genotype if isinstance(found, Entry) else found if isinstance(found, Genotype) else None
    network = found if isinstance(found, Genotype) else found.name
    parameters, macs = count(network, form.num_classes, form.channels, form.cells, form.image_size)
    written = [] if form.svg is None else _draw(drawn, form.svg)
    if form.json:
        asked = {name: getattr(form, name) for name in ("channels", "cells", "num_classes", "image_size")}
        shown = {**asked, "parameters": parameters, "macs": macs, "svg": written}
        print(json.dumps({**_facts(found), "shown": shown}, indent=2, ensure_ascii=False))
        return 0
    print(f"cells of the space {found.space}" if isinstance(found, Genotype) else "\n".join(_told(found)))
    size = f"classes: {form.num_classes}, pixels: {form.image_size}x{form.image_size}"
    if drawn is not None:
        size = f"channels: {form.channels or CHANNELS}, cells: {form.cells or CELLS}, {size}"
        for kind in drawn.cells:
            print(f"\n{kind} cell; 0 and 1 are the outputs of the two previous cells")
            print("\n".join(f"  {line}" for line in cell_lines(drawn, kind)))
    print(f"\n{parameters:,} parameters, {macs / 1e6:,.1f} million MACs per image ({size})")
    for path in written:
        print(path)
    return 0


def _find(reference: str) -> Record | Genotype:
    """The record of a network in the zoo, or any other genotype."""
    from adarts.training.model import resolve_genotype
    from adarts.zoo import find, record

    of_no_name = re.search(r"[:({|/]", reference) or Path(reference).exists()
    return resolve_genotype(reference) if find(reference) is None and of_no_name else record(reference)


def _draw(genotype: Genotype | None, place: Path) -> list[str]:
    """Draw each cell to ``PLACE_KIND.svg``; return the paths."""
    from adarts.report import cell_svg

    if genotype is None:
        raise ConfigError("this network has no cells to draw")
    paths = {kind: f"{str(place).removesuffix('.svg')}_{kind}.svg" for kind in genotype.cells}
    for kind, path in paths.items():
        try:
            Path(path).write_text(cell_svg(genotype, kind), encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror}") from None
    return list(paths.values())


def _told(record: Record) -> list[str]:
    """The facts of a network as lines of text."""
    errors = {"CIFAR-10": record.cifar10_error, "CIFAR-100": record.cifar100_error}
    published = [f"{error:.2f} % error on {data}" for data, error in errors.items() if error is not None]
    published += [] if record.size is None else [f"{record.size} million parameters"]
    named = "" if record.source_name in (None, record.name) else f", as {record.source_name}"
    told = {
        record.name: record.title,
        "method": record.method,
        "paper": record.paper or "unknown",
        "cells from": record.source and record.source + named,
        "published": f"{', '.join(published)} ({record.figures})" if published else "no figures known",
    }
    lines = [f"{name}: {value}" for name, value in told.items() if value is not None]
    return lines + [f"remark: {remark}" for remark in record.remarks]


def _facts(record: Record | Genotype) -> dict[str, Any]:
    """All facts of a network as plain JSON; cells are under ``genotype``."""
    from adarts.zoo import Record

    if not isinstance(record, Record):
        return {"genotype": record.to_dict()}
    known = asdict(record)
    known.pop("recipe", None)
    genotype = known.pop("document", None)
    return known if genotype is None else {**known, "genotype": genotype}
