"""The registry of searchers: built-in ones, those of installed packages, and classes in files."""

from __future__ import annotations

from typing import TypeVar

from adarts.config.settings import Settings
from adarts.registry import Registry
from adarts.searchers.base import Searcher, SearcherInfo

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
