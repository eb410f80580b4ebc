"""``adarts configs``: list the scales, or show one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse, with_action
from adarts.cli.output import as_yaml, print_table
from adarts.config.loading import SCALES, load_scale


@dataclass(frozen=True, config=FORM)
class Configs:
    """List the scales, which are budgets, or show one with the settings that it changes."""

    action: Annotated[Literal["list", "show"], Positional("ACTION")] = "list"
    """What to do; a name alone is shown."""
    name: Annotated[str | None, Positional("NAME")] = None
    """The scale to show; all if none is named."""


def run(words: list[str]) -> int:
    """Carry out the verb."""
    form = parse(Configs, with_action(words), "adarts configs")
    scales = {name: load_scale(name) for name in (SCALES if form.name is None else [form.name])}
    if form.action == "show":
        shown = ({"name": name, **scale.model_dump(exclude_defaults=True)} for name, scale in scales.items())
        print("\n\n".join(as_yaml(record) for record in shown))
    else:
        print_table(
            ["scale", "what for", "what it reduces"], [[n, s.description, s.reduces] for n, s in scales.items()]
        )
    return 0
