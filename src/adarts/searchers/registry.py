"""The registry of searchers: built-in ones, those of installed packages, and classes in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from adarts.config.loading import validated
from adarts.config.settings import Settings
from adarts.errors import ConfigError, nearest
from adarts.registry import Registry
from adarts.searchers.base import Searcher, SearcherInfo
from adarts.spaces import Space

S = TypeVar("S", bound=type[Searcher])


def register(searcher: S) -> S:
    """Class decorator that registers a searcher under the name in its `info`.

    Raises:
        ValueError: the name is taken.
        TypeError: the class is not a searcher, or has no `info`.
    """
    check(searcher)  # before reading its name
    SEARCHERS.add(searcher.info.name, searcher)
    return searcher


def check(searcher: object) -> None:
    """Raise a TypeError if the class is not a searcher."""
    if not (isinstance(searcher, type) and issubclass(searcher, Searcher)):
        raise TypeError(f"{searcher!r} is not a subclass of adarts.searchers.Searcher")
    who = f"searcher {searcher.__qualname__}"
    if not isinstance(getattr(searcher, "info", None), SearcherInfo):
        raise TypeError(f"{who} needs a class attribute info = SearcherInfo(name=..., ...)")
    if not issubclass(searcher.Options, Settings):
        raise TypeError(f"{who}: Options must be a subclass of adarts.config.settings.Settings")


SEARCHERS: Registry[type[Searcher]] = Registry(
    "searcher", "adarts.searchers", check, lambda searcher: searcher.info.name
)


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
