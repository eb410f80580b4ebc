"""How verbs print what they list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table as wide as the terminal; the last columns wrap, the first does not."""
    grid = Table(*head, box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    grid.columns[0].no_wrap = True
    for row in rows:
        grid.add_row(*map(Text, row))
    Console(highlight=False).print(grid)


def as_yaml(record: Mapping[str, Any]) -> str:
    """A record as readable text, nested parts indented."""
    return str(yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=True, width=100)).rstrip()


def without_show(words: Sequence[str]) -> list[str]:
    """The words of a verb that lists, or shows what is named: `show NAME` is as good as `NAME`, `list` as good as nothing."""
    return [word for word in words if word not in ("show", "list")]
