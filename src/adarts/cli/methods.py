"""``adarts methods``: list the search methods, or show one."""

from __future__ import annotations

import inspect
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from adarts.cli.options import FORM, Positional, parse, with_action
from adarts.cli.output import as_yaml, print_table
from adarts.config.loading import merge

if TYPE_CHECKING:
    from adarts.methods import Method


@dataclass(frozen=True, config=FORM)
class Methods:
    """List the search methods, or show one with its published hyper-parameters."""

    action: Annotated[Literal["list", "show"], Positional("ACTION")] = "list"
    """What to do; a name alone is shown."""
    name: Annotated[str | None, Positional("NAME")] = None
    """The method to show; all if none is named."""
    json: bool = False
    """Print JSON, with everything that is known."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Methods, with_action(words), "adarts methods")
    from adarts.methods.registry import get_method, survey

    methods, problems = survey() if form.name is None else ([get_method(form.name)], [])
    for problem in problems:
        print(f"adarts: warning: {problem}", file=sys.stderr)
    if form.json:
        print(json.dumps([_record(method) for method in methods], indent=2, default=str))
    elif form.action == "show":
        print("\n\n\n".join(_page(method) for method in methods))
    else:
        infos = [method.info for method in methods]
        print_table(["method", "year", "what it changes"], [[m.name, str(m.year), m.changes] for m in infos])
    return 0


def _record(method: type[Method]) -> dict[str, Any]:
    """Everything that is known of a method, as plain JSON."""
    defaults: dict[str, Any] = {}
    merge(defaults, method.info.defaults)  # whatever kind of mapping it is
    options = {
        name: {"required": field.is_required(), "default": _default(field), "description": _plain(field.description)}
        for name, field in method.Options.model_fields.items()
    }
    return {**vars(method.info), "defaults": defaults, "options": options, "description": inspect.getdoc(method)}


def _default(field: FieldInfo) -> Any:
    """As plain JSON; none for an option that must be given."""
    if field.is_required():
        return None
    return to_jsonable_python(field.get_default(call_default_factory=True), fallback=str)


def _page(method: type[Method]) -> str:
    """A method for people: its record, its options, its idea with the equations."""
    record = _record(method)
    options, description = record.pop("options"), record.pop("description")
    parts = [as_yaml(record)]
    if options:
        width = max(map(len, options))
        lines = [
            f"  {name:<{width}}  {'required' if o['required'] else o['default']!s:<8}  {o['description']}"
            for name, o in options.items()
        ]
        parts.append("\n".join(["options, with their defaults:", *lines]))
    return "\n\n".join([*parts, description])


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())
