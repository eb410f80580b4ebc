"""``adarts methods``: list the search methods, or show one."""

from __future__ import annotations

import inspect
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from pydantic.dataclasses import dataclass
from pydantic_core import to_jsonable_python

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import as_yaml, print_table, without_show
from adarts.config.loading import merged

if TYPE_CHECKING:
    from adarts.methods import Method


@dataclass(frozen=True, config=FORM)
class Methods:
    """List the search methods, or show one with its published hyper-parameters."""

    name: Annotated[str | None, Positional("NAME")] = None
    """The method to show; if not given, all are listed."""
    json: bool = False
    """Print all facts as JSON."""


def run(words: list[str]) -> int:
    """Run ``adarts methods``."""
    form = parse(Methods, without_show(words), "adarts methods")
    from adarts.methods.registry import get_method, survey

    methods, problems = survey() if form.name is None else ([get_method(form.name)], [])
    for problem in problems:
        print(f"adarts: warning: {problem}", file=sys.stderr)
    if form.json:
        print(json.dumps([_record(method) for method in methods], indent=2, default=str))
    elif form.name is not None:
        print(_page(*methods))
    else:
        infos = [method.info for method in methods]
        rows = [[m.name, str(m.year), m.family, m.changes] for m in infos]
        print_table(["method", "year", "family", "what it changes"], rows)
    return 0


def _record(method: type[Method]) -> dict[str, Any]:
    """All facts of a method as plain JSON."""
    options = {}
    for name, field in method.Options.model_fields.items():
        required, text = field.is_required(), " ".join((field.description or "").split())
        default = None if required else to_jsonable_python(field.get_default(call_default_factory=True), fallback=str)
        options[name] = {"required": required, "default": default, "description": text}
    plain = {name: merged(getattr(method.info, name)) for name in ("defaults", "spaces")}  # plain dicts
    return {**vars(method.info), **plain, "options": options, "description": inspect.getdoc(method)}


def _page(method: type[Method]) -> str:
    """A method as text: its info, options and docstring with the equations."""
    record = _record(method)
    options, description = record.pop("options"), record.pop("description")
    parts = [as_yaml(record)]
    if options:
        width = max(map(len, options))
        lines = [
            f"  {name:<{width}}  {'required' if o['required'] else o['default']!s:<8}  {o['description']}"
            for name, o in options.items()
        ]
        parts.append("\n".join(["options and defaults:", *lines]))
    return "\n\n".join([*parts, description])
