"""Bounds on genotype files from strangers, held before anything parses them."""

from __future__ import annotations

from adarts.errors import DataError

SIZE_LIMIT = 64 * 1024
"""Longest genotype file, in characters."""

DEPTH_LIMIT = 12
"""Deepest nesting of brackets; a genotype in JSON needs six."""


def check_size(text: str) -> None:
    """Refuses a text that is too long or too deeply nested for a genotype.

    Raises:
        DataError: it is.
    """
    if len(text) > SIZE_LIMIT:
        raise DataError(f"genotype: longer than {SIZE_LIMIT // 1024} kB, which no genotype is")
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > DEPTH_LIMIT:
            raise DataError(f"genotype: brackets nested more than {DEPTH_LIMIT} deep, which no genotype has")


def short(value: object) -> str:
    """A value as it stands in a message: one line, and not long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
