"""Parse the command line into settings: argparse splits the words, pydantic validates the values.

Values stay plain text until pydantic converts them, so an invalid value gives the same message
(:mod:`adarts.config.loading`) whether it comes from the command line, a file or Python.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import ConfigDict

from adarts.config.loading import checked, fields
from adarts.config.settings import Settings
from adarts.errors import ConfigError

T = TypeVar("T")

FORM = ConfigDict(use_attribute_docstrings=True)
"""Configuration of the dataclasses with a command's options; the docstring under each field is its help text."""

_UNPREFIXED = "run."  # `--device` instead of `--run.device`
_SHORT = {"images.download": "--download", "images.max_broken": "--max-broken", "network.name": "--network"}


class ConfigFile(Settings):
    """Options of `search`, `train` and `sweep` that are not settings of the run."""

    config: Path | None = None
    """A YAML file with some or all settings, such as another run's config.yaml."""
    print_config: bool = False
    """Print the complete configuration, including changes by method, scale and file, and exit."""


@dataclass(frozen=True)
class Positional:
    """Marks a field as a positional argument with this name in the help."""

    metavar: str


def parse(form: type[T], words: Sequence[str], prog: str) -> T:
    """Fill a form, a pydantic dataclass, from the words of the command line.

    Raises:
        ConfigError: an option or value is invalid.
    """
    return form(**_given(form, words, prog))


def parse_settings(form: type[Settings], words: Sequence[str], prog: str) -> tuple[dict[str, Any], ConfigFile]:
    """Parse the words into settings, nested and with valid values, and the options of :class:`ConfigFile`.

    Args:
        form: all options as settings, including those of :class:`ConfigFile`.
        words: the words after the command's name.
        prog: name of the command in help and messages.

    Raises:
        ConfigError: an option or value is invalid.
    """
    given = _given(form, words, prog)
    return given, ConfigFile(**{name: given.pop(name) for name in ConfigFile.model_fields if name in given})


def _given(form: type[Any], words: Sequence[str], prog: str) -> dict[str, Any]:
    found, unknown = _parser(form, prog).parse_known_intermixed_args([_spelled(word) for word in words])
    if unknown:
        raise ConfigError(_unknown(unknown[0], [option for name in fields(form) for option in _options(name)], prog))
    return checked(form, vars(found), _flag)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")


class _Switch(argparse.Action):
    """A flag whose option strings alternate between on and off."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, self.option_strings.index(str(option)) % 2 == 0)


def _parser(form: type[Any], prog: str) -> _Parser:
    parser = _Parser(prog, f"{prog} [OPTIONS]", _one_line(form.__doc__), allow_abbrev=False)
    parser.argument_default = argparse.SUPPRESS
    add_options(parser, form)
    return parser


def add_options(parser: argparse.ArgumentParser, form: type[Any]) -> None:
    """Add the options and positional arguments of a form to a parser."""
    groups: dict[str, Any] = {"": parser, "run": parser}
    for name, field in fields(form).items():
        section = name.rpartition(".")[0]
        if section not in groups:
            kind = form.__pydantic_fields__[section].annotation
            groups[section] = parser.add_argument_group(section, _one_line(kind.__doc__))
        default = field.get_default(call_default_factory=True)
        hidden = field.is_required() or default is False or default in ((), {})
        shown = "" if hidden else f" (default: {_shown(default)})"
        how: dict[str, Any] = {"help": (_one_line(field.description) + shown).replace("%", "%%")}
        if many := get_origin(field.annotation) is tuple:
            how |= {"nargs": "*", "action": "extend"}
        if place := next((mark for mark in field.metadata if isinstance(mark, Positional)), None):
            how |= {} if many or field.is_required() else {"nargs": "?"}
            parser.usage = f"{parser.usage} " + (place.metavar if field.is_required() else f"[{place.metavar}]")
            parser.add_argument(name, metavar=place.metavar, **how)
        elif field.annotation is bool:
            pair = issubclass(form, Settings) and name not in ConfigFile.model_fields
            options = [option for on in _options(name) for option in ([on, _off(on)] if pair else [on])]
            groups[section].add_argument(*options, dest=name, action=_Switch, nargs=0, **how)
        else:
            groups[section].add_argument(*_options(name), dest=name, metavar=_metavar(field.annotation), **how)


def _spelled(word: str) -> str:
    """Replace underscores in an option's name: ``--edge.mask_scope`` becomes ``--edge.mask-scope``."""
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value if word.startswith("--") else word


def _flag(name: str) -> str:
    """The option of a setting: ``--images.per-class`` for ``images.per_class``."""
    return "--" + name.removeprefix(_UNPREFIXED).replace("_", "-")


def _options(name: str) -> list[str]:
    return [*([_SHORT[name]] if name in _SHORT else []), _flag(name)]


def _off(option: str) -> str:
    """``--images.no-flip`` for ``--images.flip``."""
    section, dot, name = option.removeprefix("--").rpartition(".")
    return f"--{section}{dot}no-{name}"


def _unknown(word: str, known: Sequence[str], prog: str) -> str:
    if not word.startswith("-"):
        return f"unexpected '{word}'; `{prog} --help` lists the options"
    option = word.split("=")[0]
    close = difflib.get_close_matches(option, known, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'?" if close else f"`{prog} --help` lists them"
    return f"unknown option '{option}'; {hint}"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _shown(value: Any) -> str:
    """A default value as written on the command line."""
    if isinstance(value, tuple):
        return " ".join(map(_shown, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _metavar(annotation: Any) -> str:
    """The placeholder of an option's value in its help: ``INT``, ``PATH|none``, ``{all,first}``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "{" + ",".join(map(str, inner)) + "}"
    if origin is dict:
        return "NAME=VALUE,..."
    if origin in (Annotated, tuple):
        return _metavar(inner[0])
    if NoneType in inner:
        return f"{_metavar(inner[0])}|none"
    return re.sub(r"^STR$", "TEXT", annotation.__name__.upper())
