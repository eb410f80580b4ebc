"""``adarts configs``: list the scales, or show one."""

from __future__ import annotations

from typing import Annotated

from pydantic.dataclasses import dataclass

from adarts.cli.options import FORM, Positional, parse
from adarts.cli.output import as_yaml, print_table, without_show
from adarts.config.loading import SCALES, load_scale


@dataclass(frozen=True, config=FORM)
class Configs:
    """List the scales (budgets), or show the settings that one changes."""

    name: Annotated[str | None, Positional("NAME")] = None
    """The scale to show; if not given, all are listed."""


def run(words: list[str]) -> int:
    """Run ``adarts configs``."""
    form = parse(Configs, without_show(words), "adarts configs")
    if form.name is not None:
        print(as_yaml({"name": form.name, **load_scale(form.name).model_dump(exclude_defaults=True)}))
    else:
        scales = {name: load_scale(name) for name in SCALES}
        rows = [[name, scale.description, scale.reduces] for name, scale in scales.items()]
        print_table(["scale", "purpose", "what it reduces"], rows)
    return 0
