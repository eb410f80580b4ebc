"""The registry of searchers: built-in ones, those of installed packages, and classes in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adarts.config.loading import validated
from adarts.errors import ConfigError, nearest
from adarts.registry import Registry, require_class
from adarts.searchers.base import Searcher, SearcherInfo
from adarts.spaces import Space


def check(searcher: object) -> None:
    """Raise a TypeError if the class is not a searcher."""
    require_class("searcher", searcher, Searcher, SearcherInfo)


SEARCHERS: Registry[type[Searcher]] = Registry(
    "searcher", "adarts.searchers", check, lambda searcher: searcher.info.name
)
register = SEARCHERS.register


def get_searcher(name: str) -> type[Searcher]:
    """Look up a searcher by name, or load ``path/to/file.py:Class``, which executes the file.

    Raises:
        ConfigError: the searcher is unknown or cannot be loaded.
    """
    return SEARCHERS.get(name)


def create_searcher(name: str, space: Space, seed: int, options: Mapping[str, Any] | None = None) -> Searcher:
    """Create a searcher by name, as :func:`get_searcher` finds it.

    Args:
        name: its name.
        space: the search space.
        seed: seed of all its random numbers.
        options: its own settings by name; those that are left out keep their defaults.

    Raises:
        ConfigError: the searcher is unknown, does not support the space, or an option is unknown or has an invalid value.
    """
    searcher, given = get_searcher(name), options or {}
    if reason := searcher.supports(space):
        raise ConfigError(f"searcher '{name}' does not support the space '{space.name}': {reason}")
    known = searcher.Options.model_fields
    for option in given:
        if option not in known:
            hint = nearest(option, known) if known else ", it has none"
            raise ConfigError(f"searcher '{name}' has no option {option[:40]!r}{hint}")
    try:
        checked = validated(searcher.Options, given)
    except ConfigError as error:
        raise ConfigError(f"searcher '{name}': option {error}") from None
    return searcher(space, seed, checked)
