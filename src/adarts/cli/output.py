"""Tables and YAML for the terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adarts.errors import AdartsError

_FIGURE, _NAME = 16, 40  # characters in the longest cell of a column of figures, and of a first column of short names


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], wrap: bool = True) -> None:
    """Print a table as wide as the terminal, with numbers aligned right.

    Long text wraps, except in a first column of short names; figures never do. With `wrap=False`, text is cut instead.
    """
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200  # a pipe has no width of its own
    grid = Table(*head, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, cells in zip(grid.columns, zip(*rows, strict=True), strict=True):
        numbers = all(re.fullmatch(r"[\d.]*", cell) for cell in cells)
        longest = max(map(len, cells))
        column.justify = "right" if numbers else "left"
        column.no_wrap = numbers or longest <= _FIGURE or (column is grid.columns[0] and longest <= _NAME)
    for row in rows:
        grid.add_row(*(Text(cell, no_wrap=not wrap, overflow="fold" if wrap else "ellipsis") for cell in row))
    console.print(grid)


def complain(error: AdartsError) -> int:
    """Print an error as one line to stderr, and return its exit code."""
    print("adarts:", " ".join(str(error).split()), file=sys.stderr)
    return error.exit_code


def as_yaml(record: Mapping[str, Any]) -> str:
    """A record as YAML text."""
    return str(yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=True, width=100)).rstrip()


def without_show(words: Sequence[str]) -> list[str]:
    """Drop the optional words `show` and `list`: `show NAME` means `NAME`, and `list` means no name."""
    return [word for word in words if word not in ("show", "list")]
