"""Find networks of the zoo by name.

The published cells are in `genotypes.json` beside this module. Published figures without a source are left out. The number of
parameters is counted for our network at the usual size: 36 channels, 20 cells, 10 classes, no auxiliary head.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from adarts.config.values import folded
from adarts.errors import ConfigError
from adarts.zoo.baselines import BASELINES
from adarts.zoo.records import Entry, Record

CHANNELS, CELLS = 36, 20
"""Size of the network whose parameters are counted."""

Order = Literal["name", "year", "error", "size"]


def entries() -> tuple[Entry, ...]:
    """All published cells, in the order of the data file."""
    return tuple(_catalog().values())


def names() -> tuple[str, ...]:
    """The names of all published cells."""
    return tuple(_catalog())


def records() -> tuple[Record, ...]:
    """All published cells, followed by the hand-designed networks."""
    return (*entries(), *BASELINES.values())


def record(name: str) -> Record:
    """The record of published cells or a hand-designed network; names as in :func:`find`.

    Raises:
        ConfigError: the name is unknown; the message has the nearest names.
    """
    found = find(name) or BASELINES.get(folded(name))
    if found is None:
        raise ConfigError(f"unknown network '{name[:60]}'{_hint(name)}")
    return found


def select(text: str | None = None, order: Order = "name") -> list[Record]:
    """The records with a text in a name, title, method or paper, sorted; unknown values come last."""
    found = [
        each
        for each in records()
        if text is None
        or any(
            text.lower() in (part or "").lower()
            for part in (each.name, each.source_name, each.title, each.method, each.paper)
        )
    ]
    keys: dict[Order, Callable[[Record], Any]] = {
        "name": lambda r: r.name.lower(),
        "year": lambda r: r.year,
        "error": lambda r: r.cifar10_error,
        "size": lambda r: r.parameters,
    }
    key = keys[order]
    return sorted(found, key=lambda r: (key(r) is None, key(r) or 0, r.name.lower()))


def find(name: str) -> Entry | None:
    """The entry of a name, here or in its source, or None. Case does not matter; ``-`` equals ``_``."""
    return _by_name().get(folded(name))


def get(name: str) -> Entry:
    """Like :func:`find`, but raise an error if there is no such entry.

    Raises:
        ConfigError: the name is unknown; the message has the nearest names.
    """
    entry = find(name)
    if entry is None:
        raise ConfigError(f"unknown genotype '{name[:60]}'{_hint(name, designed=False)}")
    return entry


def nearest_names(name: str, designed: bool = True) -> list[str]:
    """One or two names close to an unknown name: names in the zoo, else names in the sources; empty if none is close.

    Args:
        name: the unknown name.
        designed: include hand-designed networks.
    """
    listed = [*names(), *(BASELINES if designed else ())]
    in_sources = [each.source_name for each in entries() if each.source_name]
    for known, cutoff in ((listed, 0.6), (in_sources, 0.8)):
        keys = {folded(each): each for each in known}
        close = difflib.get_close_matches(folded(name[:60]), keys, n=2, cutoff=cutoff)
        if close:
            return [keys[key] for key in close]
    return []


def _hint(name: str, designed: bool = True) -> str:
    """A hint at names close to an unknown one, for a message."""
    close = nearest_names(name, designed)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "; `adarts zoo` lists what there is"


@cache
def _catalog() -> dict[str, Entry]:
    document = json.loads((files("adarts.zoo") / "genotypes.json").read_text(encoding="utf-8"))
    found = (
        Entry(remarks=tuple(record.pop("remarks")), document=record.pop("genotype"), **record)
        for record in document["entries"]
    )
    return {entry.name: entry for entry in found}


@cache
def _by_name() -> dict[str, Entry]:
    return {folded(name): entry for entry in entries() for name in (entry.name, entry.source_name) if name}
