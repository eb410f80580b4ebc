"""The methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adarts.errors import ConfigError, nearest
from adarts.methods.base import Method, MethodInfo

_METHODS: dict[str, type[Method]] = {}


def register(method: type[Method]) -> type[Method]:
    """Make a method known by the name in its record; a class decorator.

    Raises:
        ValueError: the name is taken.
    """
    name = method.info.name
    if name in _METHODS:
        raise ValueError(f"a method named '{name}' is registered already: {_METHODS[name].__qualname__}")
    _METHODS[name] = method
    return method


def get_method(name: str) -> type[Method]:
    """The method of this name.

    Raises:
        ConfigError: when there is none, with the nearest name.
    """
    if name not in _METHODS:
        raise ConfigError(f"unknown method '{name}'{nearest(name, _METHODS)}")
    return _METHODS[name]


def published(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The published hyper-parameters of the method of this name, as a layer of a configuration."""
    return get_method(name).info.defaults


def list_methods() -> list[MethodInfo]:
    """The records of all methods, sorted by year and name."""
    return sorted((method.info for method in _METHODS.values()), key=lambda info: (info.year, info.name))
