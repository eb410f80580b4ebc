"""Check and parse single values, before pydantic validates them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator


def no_flag_for_a_number(annotation: Any, value: Any) -> Any:
    """Return the value, but refuse a bool for a setting that takes a number; pydantic would read True as 1.

    Raises:
        ValueError: the value is a bool and the setting takes a number.
    """
    accepted = kinds(annotation)
    if isinstance(value, bool) and bool not in accepted and (int in accepted or float in accepted):
        raise ValueError(f"must be a number, not {value}")
    return value


def kinds(annotation: Any) -> list[Any]:
    """The types that a setting accepts; for ``PositiveFloat | None``, float and None."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kinds(parts[0])
    if origin in (Union, UnionType):
        return [kind for part in parts for kind in kinds(part)]
    return [annotation]


def assignments(value: Any) -> Any:
    """Parse ``tau=0.5,hard=true`` into a mapping of plain values; return anything other than a string unchanged.

    Raises:
        ValueError: a part of the string is not an assignment.
    """
    if not isinstance(value, str):
        return value
    result: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        name, equals, text = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"must be NAME=VALUE,..., not {part[:40]!r}")
        result[name.strip().replace("-", "_")] = _plain(text.strip())
    return result


def _plain(text: str) -> bool | int | float | str:
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return text


def can_name_a_file(text: str | Path) -> bool:
    """Whether a text has neither the character NUL nor half a character, as an escape in a file can have."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def folded(name: str) -> str:
    """Normalize a network's name for lookup: lower case, ``_`` instead of ``-``."""
    return name.strip().lower().replace("-", "_")


def names_code(text: str) -> bool:
    """Whether a name refers to code in a file, ``path/to/file.py:NAME``. Loading it executes the file."""
    return re.fullmatch(r".+\.py:[A-Za-z_]\w*", text) is not None


def with_folder(data: str) -> str:
    """``folder:PATH`` for a path of images, which has a slash or begins with a dot or ``~``; any other text unchanged."""
    if re.match(r"\w[\w.-]*:", data) or names_code(data) or data.endswith(".py"):
        return data
    return f"folder:{data}" if "/" in data or data[:1] in (".", "~") else data


def path_or_name(data: str) -> str:
    """What PATH means to a command for images: a path that exists or looks like one is ``folder:PATH``, any other text a name."""
    return f"folder:{Path(data)}" if Path(data).exists() else with_folder(data)


Images = Annotated[str, AfterValidator(with_folder)]
"""The name of a data set, or a path of images."""
