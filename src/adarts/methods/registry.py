"""The methods by name: the package's own, those of installed packages, and classes in files."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from adarts.config.loading import merge, validated
from adarts.config.settings import SearchConfig, Settings, names_code
from adarts.errors import ConfigError, nearest
from adarts.methods.base import HOOKS, Method, MethodInfo

ENTRY_POINTS = "adarts.methods"
"""The group of entry points under which an installed package offers its methods."""

M = TypeVar("M", bound=type[Method])

_METHODS: dict[str, type[Method]] = {}


def register(method: M) -> M:
    """Make a method known by the name in its record; a class decorator.

    Raises:
        ValueError: the name is taken.
        TypeError: it is no method, has no record, or a hook of it does not take what the loop gives.
    """
    check(method)
    name = method.info.name
    if name in _METHODS:
        raise ValueError(f"a method named '{name}' is registered already: {_METHODS[name].__qualname__}")
    _METHODS[name] = method
    return method


def check(method: object) -> None:
    """Refuse what the loop could not use, with the reason.

    Raises:
        TypeError: it is no method, has no record, or a hook of it does not take what the loop gives.
    """
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise TypeError(f"{method!r} is not a subclass of adarts.methods.Method")
    who = f"method {method.__qualname__}"
    if not isinstance(getattr(method, "info", None), MethodInfo):
        raise TypeError(f"{who} has no record: it needs a class attribute info = MethodInfo(name=..., ...)")
    if not issubclass(method.Options, Settings):
        raise TypeError(f"{who}: Options must be a subclass of adarts.config.settings.Settings")
    for cls in method.__mro__[: method.__mro__.index(Method)]:
        for name, member in vars(cls).items():
            if name in HOOKS:
                _check_hook(f"{who}: {name}", getattr(member, "__func__", member), HOOKS[name])
            elif not name.startswith("_") and inspect.isfunction(member):
                close = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.85)
                if close:
                    raise TypeError(f"{who}: there is no hook '{name}'; did you mean '{close[0]}'?")


def _check_hook(who: str, mine: object, base: object) -> None:
    if not callable(mine):
        raise TypeError(f"{who} is a hook, so it must be a function")
    base = getattr(base, "__func__", base)
    wanted = list(inspect.signature(base).parameters)  # type: ignore[arg-type]
    try:
        inspect.signature(mine).bind(*wanted)
    except TypeError:
        raise TypeError(f"{who} must take ({', '.join(wanted)})") from None


def get_method(name: str) -> type[Method]:
    """The method of a name, or of a class in a file, written ``path/to/file.py:Class``; that file is executed.

    Raises:
        ConfigError: there is none, with the nearest name.
    """
    if names_code(name):
        return _from_file(name)
    if name not in _METHODS:
        _load_entry_points()
    if name not in _METHODS:
        raise ConfigError(f"unknown method '{name}'{nearest(name, _METHODS)}")
    return _METHODS[name]


def create(config: SearchConfig) -> Method:
    """The method of a search, with its options.

    Raises:
        ConfigError: there is no such method, or it has no such option.
    """
    method = get_method(config.method)
    known = method.Options.model_fields
    for name in config.options:
        if name not in known:
            hint = nearest(name, known) if known else f"; method '{config.method}' has none"
            raise ConfigError(f"options.{name}: unknown option{hint}")
    if config.edge.auxiliary_skip != method.weighs_auxiliary:
        what = "needs it" if method.weighs_auxiliary else "would give it no weight"
        raise ConfigError(f"edge.auxiliary_skip is {config.edge.auxiliary_skip}: method '{config.method}' {what}")
    try:
        return method(validated(method.Options, config.options))
    except ConfigError as error:
        raise ConfigError(f"options.{error}") from None


def published(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The published hyper-parameters of the method of this name, as a layer of a configuration."""
    method = get_method(name)
    layer: dict[str, Any] = {"options": method.Options().model_dump(mode="json")}
    merge(layer, method.info.defaults)
    return layer


def list_methods() -> list[MethodInfo]:
    """The records of all methods, sorted by year and name."""
    _load_entry_points()
    return sorted((method.info for method in _METHODS.values()), key=lambda info: (info.year, info.name))


def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in _METHODS:
            continue
        try:
            method = point.load()
            check(method)
        except Exception as error:  # somebody else's code: whatever it raises, the name of its package must be said
            package = point.dist.name if point.dist else point.value
            raise ConfigError(f"method '{point.name}' of the package '{package}' cannot be loaded: {error}") from error
        _METHODS[point.name] = method


@cache  # executed once a process, however often it is asked for
def _from_file(text: str) -> type[Method]:
    place, _, name = text.rpartition(":")
    path = Path(place)
    if not path.is_file():
        raise ConfigError(f"method '{text}': there is no file {path}")
    module_name = f"adarts_method_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pydantic look their own module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code
        raise ConfigError(f"method '{text}': {path} cannot be loaded: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        classes = [n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module_name]
        raise ConfigError(f"method '{text}': {path} has no class '{name}'{nearest(name, classes)}")
    method = getattr(module, name)
    try:
        check(method)
    except TypeError as error:
        raise ConfigError(f"method '{text}': {error}") from error
    return method  # type: ignore[no-any-return]
