"""``adarts methods``: list the search methods, or show one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import tyro

from adarts.cli.options import parse, with_action
from adarts.cli.output import facts, table


@dataclass(frozen=True)
class Methods:
    """List the search methods, or show one with its published hyper-parameters."""

    action: Annotated[Literal["list", "show"], tyro.conf.Positional] = "list"
    """What to do; a name alone is shown."""
    name: Annotated[str | None, tyro.conf.Positional] = None
    """The method to show; all if none is named."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON, with everything that is known."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Methods, with_action(words), "adarts methods")
    from adarts.methods import get_method, list_methods

    methods = list_methods() if form.name is None else [get_method(form.name).info]
    records = [asdict(method) for method in methods]
    if form.json:
        print(json.dumps(records, indent=2))
    elif form.action == "show":
        print("\n\n".join(facts(record) for record in records))
    else:
        table(["method", "year", "what it changes"], [[m.name, str(m.year), m.changes] for m in methods])
    return 0
