"""From the words of the command line to settings: argparse takes the words apart, pydantic judges the values.

Every value stays plain text until pydantic converts it, so that a wrong one is worded alike (:mod:`adarts.config.loading`),
whether it comes from the command line, a file or Python.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from adarts.config.loading import checked, merge, nested, none_or_text, problem, value_at
from adarts.config.settings import Settings
from adarts.errors import ConfigError

T = TypeVar("T")
Defaults = Callable[[Mapping[str, Any], Path | None], Mapping[str, Any]]
"""From what is given, and the configuration file, to the settings that the help shows."""

FORM = ConfigDict(use_attribute_docstrings=True)
"""Of the dataclasses that hold the options of a verb: the help is what stands under each field."""

_UNPREFIXED = "run."  # `--device` instead of `--run.device`: these options say how, not what
_SHORT = {"images.download": "--download", "network.name": "--network"}
_HELP = ("-h", "--help")


class ConfigFile(Settings):
    """The options of a verb that starts a run which are not settings of the run."""

    config: Path | None = None
    """A YAML file with some or all settings, such as another run's config.yaml."""
    print_config: bool = False
    """Print the complete configuration and exit."""


@dataclass(frozen=True)
class Positional:
    """Marks a field that is given by its place, and says what the help calls it."""

    metavar: str


def with_action(words: Sequence[str]) -> list[str]:
    """The words of a verb that lists or shows by name; a bare name means to show it."""
    names = [word for word in words if not word.startswith("-")]
    return ["show", *words] if len(names) == 1 and names[0] not in ("list", "show") else list(words)


def parse(form: type[T], words: Sequence[str], prog: str) -> T:
    """The form, a pydantic dataclass, filled from the words.

    Raises:
        ConfigError: the words do not fit; one line.
    """
    given = _given(form, words, prog)
    try:
        return TypeAdapter(form).validate_python(given)
    except ValidationError as error:
        name = ".".join(map(str, error.errors()[0]["loc"]))
        by_place = any(isinstance(mark, Positional) for mark in dict(_fields(form))[name].metadata)
        raise ConfigError(f"{name if by_place else _flag(name)} {problem(error)}") from None


def parse_settings(
    form: type[Settings], words: Sequence[str], prog: str, defaults: Defaults
) -> tuple[dict[str, Any], ConfigFile]:
    """What the words give, nested and each single value valid, and the options beside the settings.

    Args:
        form: the options as settings, those of :class:`ConfigFile` among them.
        words: the words after the verb.
        prog: the command as help and messages call it.
        defaults: what the help shows.

    Raises:
        ConfigError: the words do not fit; one line.
    """
    given = checked(form, _given(form, [word for word in words if word not in _HELP], prog), _flag)
    beside = ConfigFile(**{name: given.pop(name) for name in ConfigFile.model_fields if name in given})
    if any(word in _HELP for word in words):
        _parser(form, prog, defaults(given, beside.config)).print_help()
        raise SystemExit(0)
    return given, beside


def _given(form: type[Any], words: Sequence[str], prog: str) -> dict[str, Any]:
    """The words as a nested mapping of texts, flags and lists of texts."""
    found, unknown = _parser(form, prog).parse_known_intermixed_args([_spelled(word) for word in words])
    fields, given = dict(_fields(form)), dict[str, Any]()
    if unknown:
        raise ConfigError(_unknown(unknown[0], [option for name in fields for option in _options(name)], prog))
    for name, value in vars(found).items():
        text = none_or_text(fields[name].annotation, value) if isinstance(value, str) else value
        merge(given, nested(name, text))
    return given


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")


class _Switch(argparse.Action):
    """A flag, on by every first of its names and off by every second."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, self.option_strings.index(str(option)) % 2 == 0)


def _parser(form: type[Any], prog: str, defaults: Mapping[str, Any] = MappingProxyType({})) -> _Parser:
    """Takes what the fields of a form say; the help shows these defaults, or else their own."""
    parser = _Parser(prog, f"{prog} [OPTIONS]", _one_line(form.__doc__), allow_abbrev=False)
    parser.argument_default = argparse.SUPPRESS
    groups: dict[str, Any] = {"": parser, "run": parser}
    for name, field in _fields(form):
        section = name.rpartition(".")[0]
        if section not in groups:
            kind = form.__pydantic_fields__[section].annotation
            groups[section] = parser.add_argument_group(section, _one_line(kind.__doc__))
        default = field.get_default(call_default_factory=True)
        with suppress(KeyError):
            default = value_at(defaults, name)
        hidden = field.is_required() or default is False or default in ((), {})
        shown = "" if hidden else f" (default: {_shown(default)})"
        how: dict[str, Any] = {"help": (_one_line(field.description) + shown).replace("%", "%%")}
        many = get_origin(field.annotation) is tuple
        if field.annotation is not bool:
            how["metavar"] = _metavar(field.annotation)
        if many:
            how |= {"nargs": "*", "action": "extend"}
        if place := next((mark for mark in field.metadata if isinstance(mark, Positional)), None):
            how |= {"metavar": place.metavar} | ({} if many or field.is_required() else {"nargs": "?"})
            parser.usage = f"{parser.usage} " + (place.metavar if field.is_required() else f"[{place.metavar}]")
            parser.add_argument(name, **how)
        elif field.annotation is bool:
            pair = issubclass(form, Settings) and name not in ConfigFile.model_fields
            options = [option for on in _options(name) for option in ([on, _off(on)] if pair else [on])]
            groups[section].add_argument(*options, dest=name, action=_Switch, nargs=0, **how)
        else:
            groups[section].add_argument(*_options(name), dest=name, **how)
    return parser


def _fields(form: type[Any], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """The fields of a form by their dotted names, those of its sections among them."""
    for name, field in form.__pydantic_fields__.items():
        if hasattr(field.annotation, "__pydantic_fields__"):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _spelled(word: str) -> str:
    """``--edge.mask_scope`` is as good as ``--edge.mask-scope``."""
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value if word.startswith("--") else word


def _flag(name: str) -> str:
    """How the command line spells a setting: ``images.per_class`` is ``--images.per-class``."""
    return "--" + name.removeprefix(_UNPREFIXED).replace("_", "-")


def _options(name: str) -> list[str]:
    """All spellings of a setting."""
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
    """A default as the command line spells it."""
    if isinstance(value, tuple | list):
        return " ".join(map(_shown, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _metavar(annotation: Any) -> str:
    """``INT``, ``PATH|none``, ``{all,first}``: what an option takes, for its help."""
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
