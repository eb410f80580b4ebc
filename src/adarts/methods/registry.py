"""The registry of search methods: built-in ones, those of installed packages, and classes in files."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from pydantic_core import to_jsonable_python

from adarts.config.loading import checked, merge, validated
from adarts.config.settings import SearchConfig, Settings
from adarts.errors import ConfigError, nearest
from adarts.methods.base import HOOKS, Family, Method, MethodInfo, weighs_auxiliary
from adarts.registry import Registry, require_class

_REPLAY, _FAMILIES = get_args(get_type_hints(MethodInfo)["replay"]), get_args(Family)


def check(method: object) -> None:
    """Raise a TypeError if the loop could not use the method."""
    who = require_class("method", method, Method, MethodInfo)
    assert isinstance(method, type) and issubclass(method, Method)
    _check_record(who, method.info)
    for cls in method.__mro__[: method.__mro__.index(Method)]:
        for name, member in vars(cls).items():
            if name in HOOKS:
                _check_hook(f"{who}: {name}", member, HOOKS[name])
            elif not name.startswith("_") and inspect.isfunction(member):
                close = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.85)
                if close:
                    raise TypeError(f"{who}: unknown hook '{name}'; did you mean '{close[0]}'?")


def _check_record(who: str, info: MethodInfo) -> None:
    for name, value in vars(info).items():
        wanted = {
            "year": None if type(value) is int else "a whole number",
            "defaults": None if isinstance(value, Mapping) else "a mapping of sections of settings",
            "spaces": None if _by_space(value) else "a mapping of spaces to sections of settings",
            "family": None if value in _FAMILIES else f"one of {', '.join(map(repr, _FAMILIES))}",
            "replay": None if value in _REPLAY else f"one of {', '.join(map(repr, _REPLAY))}",
        }.get(name, None if isinstance(value, str) else "a text")
        if wanted:
            raise TypeError(f"{who}: info.{name} must be {wanted}, not {value!r}")


def _by_space(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(sections, Mapping) for sections in value.values())


def _check_hook(who: str, mine: object, base: object) -> None:
    function = getattr(mine, "__func__", mine)
    if not callable(function):
        raise TypeError(f"{who} is a hook, so it must be a function")
    wanted = list(inspect.signature(getattr(base, "__func__", base)).parameters)  # type: ignore[arg-type]
    if isinstance(mine, staticmethod):
        wanted = wanted[1:]
    try:
        inspect.signature(function).bind(*wanted)
    except TypeError:
        raise TypeError(f"{who} must take ({', '.join(wanted)})") from None


METHODS: Registry[type[Method]] = Registry("method", "adarts.methods", check, lambda method: method.info.name)
register = METHODS.register


def get_method(name: str) -> type[Method]:
    """Look up a method by name, or load ``path/to/file.py:Class``, which executes the file.

    Raises:
        ConfigError: the method is unknown or cannot be loaded.
    """
    return METHODS.get(name)


def create(config: SearchConfig) -> Method:
    """Create the method of a search with its options.

    Raises:
        ConfigError: the method or an option is unknown, a required option is missing, or `edge.auxiliary_skip` does not fit.
    """
    method, there = get_method(config.method), config.edge.auxiliary_skip
    options = _options(method, config)
    if there != weighs_auxiliary(method):
        what = "does not use it" if there else "needs it"
        raise ConfigError(f"edge.auxiliary_skip is {there}, but method '{config.method}' {what}")
    try:
        return method(options)
    except ConfigError as error:
        raise ConfigError(f"options.{error}") from None


def resolve_options(config: SearchConfig) -> SearchConfig:
    """Complete the options of a search with defaults, converted as the method reads them.

    So equal searches have equal configurations: if the method takes a real number, ``1`` becomes ``1.0``.

    Raises:
        ConfigError: the method or an option is unknown, or a required option is missing.
    """
    options = _options(get_method(config.method), config).model_dump(mode="json")
    return config.model_copy(update={"options": _without_none(options)})


def published(name: str, space: str) -> Mapping[str, Mapping[str, Any]]:
    """The published hyper-parameters of a method in a space, both by name, as a layer of a configuration."""
    return published_by(get_method(name), space)


def published_by(method: type[Method], space: str) -> Mapping[str, Mapping[str, Any]]:
    """The published hyper-parameters of a method in a space, by its name, as a layer of a configuration.

    It has the options of the method too, except those without a default.
    """
    fields = method.Options.model_fields.items()
    defaults = {name: f.get_default(call_default_factory=True) for name, f in fields if not f.is_required()}
    options = checked(method.Options, defaults, lambda name: f"method '{method.info.name}': options.{name}")
    layer: dict[str, Any] = {"options": _without_none(to_jsonable_python(options))}
    merge(layer, method.info.defaults)
    merge(layer, method.info.spaces.get(space, {}))
    return layer


def list_methods() -> list[MethodInfo]:
    """The `info` of all methods, sorted by year and name; warns about methods of packages that cannot be loaded."""
    methods, problems = survey()
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return [method.info for method in methods]


def survey() -> tuple[list[type[Method]], list[str]]:
    """All methods, sorted by year and name, and one line for each method of a package that cannot be loaded."""
    problems = METHODS.survey()
    return sorted(METHODS.known.values(), key=lambda method: (method.info.year, method.info.name)), problems


def _options(method: type[Method], config: SearchConfig) -> Settings:
    """The options of a search, validated by its method."""
    known = method.Options.model_fields
    for name in config.options:
        if name not in known:
            hint = nearest(name, known) if known else f"; method '{config.method}' has none"
            raise ConfigError(f"options.{name}: unknown option{hint}")
    for name, field in known.items():
        if field.is_required() and name not in config.options:
            raise ConfigError(
                f"options.{name}: required by method '{config.method}'; give it with --options {name}=VALUE"
            )
    try:
        return validated(method.Options, config.options)
    except ConfigError as error:
        raise ConfigError(f"options.{error}") from None


def _without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out options that are None; configurations cannot represent them."""
    return {name: value for name, value in options.items() if value is not None}
