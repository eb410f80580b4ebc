"""Small tables of names and values, the same on a terminal and in a log file."""

from __future__ import annotations

from collections.abc import Iterable


def titled_rows(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A title, and under it one line a row with the names in a column of their own."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows)])
