"""``adarts methods``: list the search methods, or show one."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from adarts.cli.options import parse, with_action
from adarts.cli.output import facts, table

if TYPE_CHECKING:
    from adarts.methods import Method


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

    names = [info.name for info in list_methods()] if form.name is None else [form.name]
    methods = [get_method(name) for name in names]
    if form.json:
        print(json.dumps([_record(method) for method in methods], indent=2))
    elif form.action == "show":
        print("\n\n\n".join(_page(method) for method in methods))
    else:
        infos = [method.info for method in methods]
        table(["method", "year", "what it changes"], [[m.name, str(m.year), m.changes] for m in infos])
    return 0


def _record(method: type[Method]) -> dict[str, Any]:
    """Everything that is known of a method, as plain JSON."""
    options = {
        name: {"default": field.default, "description": _plain(field.description or "")}
        for name, field in method.Options.model_fields.items()
    }
    return {**asdict(method.info), "options": options, "description": inspect.getdoc(method)}


def _page(method: type[Method]) -> str:
    """A method for people: its record, its options, its idea with the equations."""
    record = _record(method)
    options, description = record.pop("options"), record.pop("description")
    parts = [facts(record)]
    if options:
        width = max(map(len, options))
        lines = [f"  {name:<{width}}  {o['default']!s:<8}  {o['description']}" for name, o in options.items()]
        parts.append("\n".join(["options, with their defaults:", *lines]))
    return "\n\n".join([*parts, description])


def _plain(text: str) -> str:
    return " ".join(text.split())
