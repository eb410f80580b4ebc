"""Limits on untrusted genotype files, checked before parsing."""

from __future__ import annotations

import reprlib

from adarts.errors import DataError

SIZE_LIMIT = 64 * 1024
"""Longest genotype file, in characters."""

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = _BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = _BRIEF.maxset = 20
_BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = 200

DEPTH_LIMIT = 12
"""Deepest nesting of brackets; a genotype in JSON needs six."""


def check_size(text: str) -> None:
    """Check the length and nesting of a genotype's text.

    Raises:
        DataError: the text is too long or too deeply nested.
    """
    if len(text) > SIZE_LIMIT:
        raise DataError(f"genotype: longer than {SIZE_LIMIT // 1024} kB, which is too long for a genotype")
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > DEPTH_LIMIT:
            raise DataError(f"genotype: brackets nested more than {DEPTH_LIMIT} deep, which is too deep for a genotype")


def short(value: object) -> str:
    """A value for a message: one short line, however long or deep the value is."""
    text = _BRIEF.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
