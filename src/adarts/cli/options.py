"""From the words of the command line to settings. Tyro reads the words, pydantic judges the values.

Tyro gets every option's value as plain text, so that wrong values are found and worded in one place
(:mod:`adarts.config.loading`), whether they come from the command line, a file or Python.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from adarts.config.loading import checked, sections, setting_names
from adarts.config.settings import Settings
from adarts.errors import ConfigError

T = TypeVar("T")
Defaults = Callable[[Mapping[str, Any], Path | None], Mapping[str, Any]]

_UNPREFIXED = "run"  # `--device` instead of `--run.device`: these options say how, not what
_NOT_GIVEN = object()
_SHORT = {"download": "--download", "name": "--network"}
_HELP = ("-h", "--help")


class ConfigFile(Settings):
    """The options of a verb that starts a run which are not settings of the run."""

    config: Path | None = None
    """A YAML file with some or all settings, such as another run's config.yaml."""
    print_config: bool = False
    """Print the complete configuration and exit."""


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether help will be printed instead of anything done."""
    return any(word in _HELP for word in words)


def with_action(words: Sequence[str]) -> list[str]:
    """The words of a verb that lists or shows by name; a bare name means to show it."""
    names = [word for word in words if not word.startswith("-")]
    return ["show", *words] if len(names) == 1 and names[0] not in ("list", "show") else list(words)


def parse(form: type[T], words: Sequence[str], prog: str) -> T:
    """The form (a dataclass) filled from the words.

    Raises:
        ConfigError: the words do not fit; one line.
    """
    result: T
    result, unknown = _read(form, words, prog)
    if unknown:
        raise ConfigError(f"unknown argument '{unknown[0]}'; `{prog} --help` lists what there is")
    return result


def parse_settings(
    model: type[Settings], words: Sequence[str], prog: str, defaults: Defaults
) -> tuple[dict[str, Any], ConfigFile]:
    """The settings that the words give, nested and with each single value valid, and the options beside the settings.

    Args:
        model: :class:`SearchConfig` or :class:`TrainConfig`.
        words: the words after the verb.
        prog: the command as help and messages call it.
        defaults: what the help shows, from what else is given and the configuration file.
    """
    form = _form(model)
    given = parse_given(form, [word for word in words if word not in _HELP], prog, {})
    beside = ConfigFile(**{name: given.pop(name) for name in ConfigFile.model_fields if name in given})
    if asks_for_help(words):
        _read(form, words, prog, default=_unchecked(form, defaults(given, beside.config)))
    return given, beside


def parse_given(
    form: type[Settings], words: Sequence[str], prog: str, help_defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """What the words themselves give, nested and with each single value valid, and nothing of what lies below them.

    Args:
        form: the options as settings; a tuple takes several words.
        words: the words after the verb.
        prog: the command as help and messages call it.
        help_defaults: what the help shows as defaults.
    """
    if asks_for_help(words):
        _read(form, words, prog, default=_unchecked(form, help_defaults))
    nothing = _nothing(form)
    values, unknown = _read(form, words, prog, default=nothing)
    if unknown:
        raise ConfigError(_unknown(unknown[0], form, prog))
    return checked(form, _without(values, nothing), _flag)


def none_or_text(annotation: Any, text: str) -> str | None:
    """What a word means for a setting of this type: ``none``, where there may be none, or what it says."""
    return None if NoneType in get_args(annotation) and text.lower() == "none" else text


def _form(model: type[Settings]) -> type[Settings]:
    return type(f"{model.__name__}Form", (model, ConfigFile), {"__doc__": model.__doc__, "__module__": __name__})


def _unchecked(model: type[Settings], values: Mapping[str, Any]) -> Settings:
    """A settings object to take defaults from, whose values may not fit together yet."""
    inner = {name: _unchecked(part, values.get(name, {})) for name, part in sections(model).items()}
    return model.model_construct(**{**values, **inner})


def _nothing(model: type[Settings]) -> Settings:
    """A settings object with which tyro's result shows what was not given."""
    blank: dict[str, Any] = {name: _nothing(part) for name, part in sections(model).items()}
    for name, field in model.model_fields.items():
        if name not in blank:
            blank[name] = None if field.annotation is bool else () if _is_tuple(field.annotation) else _NOT_GIVEN
    return model.model_construct(**blank)


def _without(values: Mapping[str, Any], nothing: Settings) -> dict[str, Any]:
    """The values that are not those of :func:`_nothing`."""
    given = {}
    for name, value in values.items():
        blank = getattr(nothing, name)
        if isinstance(blank, Settings):
            value, blank = _without(value, blank), {}
        if value != blank:
            given[name] = value
    return given


def _read(form: type[Any], words: Sequence[str], prog: str, **passed: Any) -> tuple[Any, list[str]]:
    """Tyro's result and the words that it does not know; what it says about wrong words as one line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(form, args=list(words), prog=prog, registry=_REGISTRY, return_unknown_args=True, **passed)
    except SystemExit as error:
        if not error.code:  # help was asked for, and printed
            raise
        raise ConfigError(f"{_one_line(said.getvalue())}; see `{prog} --help`") from None


def _one_line(box: str) -> str:
    """The message in the box that tyro draws, with a title in it, and more help below a rule in it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip(" │") for line in plain.splitlines()]
    if not lines[0].startswith("╭"):  # without Unicode, the title stands on a line of its own above a rule
        lines = lines[2:]
    message = itertools.takewhile(
        lambda line: line.strip("─-"), (line for line in lines if line and line[0] not in "╭╰")
    )
    return " ".join(message).split(" Got errors")[0].rstrip(" .")


def _flag(name: str) -> str:
    """How the command line spells a setting: ``images.per_class`` is ``--images.per-class``."""
    return "--" + name.removeprefix(f"{_UNPREFIXED}.").replace("_", "-")


def _unknown(word: str, form: type[Settings], prog: str) -> str:
    if not word.startswith("-"):
        return f"unexpected '{word}'; `{prog} --help` lists the options"
    option = word.split("=")[0].replace("_", "-")
    names = setting_names(form)
    known = [_flag(name) for name in names] + [
        _SHORT[last] for name in names if (last := name.split(".")[-1]) in _SHORT
    ]
    close = difflib.get_close_matches(option, known, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'?" if close else f"`{prog} --help` lists them"
    return f"unknown option '{option}'; {hint}"


_REGISTRY = ConstructorRegistry()


@_REGISTRY.struct_rule
def _settings_rule(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Settings are read into plain dictionaries of text, which may break rules that a later layer repairs."""
    if not (isinstance(info.type, type) and issubclass(info.type, Settings)):
        return None
    inner = sections(info.type)
    fields = []
    for name, field in info.type.model_fields.items():
        kind: Any = field.annotation
        markers: tuple[Any, ...] = ()
        if name == _UNPREFIXED:
            markers = (tyro.conf.arg(name=""),)
        elif name == "print_config":
            markers = (tyro.conf.FlagCreatePairsOff,)
        elif _is_tuple(kind):
            markers = tuple(field.metadata)
        elif name not in inner and kind is not bool:
            kind, markers = Any, (_text(field.annotation),)
        if name in _SHORT:
            markers = (*markers, tyro.conf.arg(aliases=[_SHORT[name]]))
        default = getattr(info.default, name, field.default)
        if kind is bool and default is None:
            kind, markers = bool | None, (*markers, tyro.conf.DisallowNone)
        kind = Annotated[kind, *markers] if markers else kind
        text = " ".join((field.description or "").split())
        fields.append(StructFieldSpec(name=name, type=kind, default=default, helptext=text))
    return StructConstructorSpec(instantiate=dict, fields=tuple(fields))


def _is_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _text(annotation: Any) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=_metavar(annotation),
        instance_from_str=lambda words: none_or_text(annotation, words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _metavar(annotation: Any) -> str:
    """``INT``, ``PATH|none``, ``{all,first}``: what an option takes, for its help."""
    if get_origin(annotation) is Literal:
        return "{" + ",".join(map(str, get_args(annotation))) + "}"
    if get_origin(annotation) is dict:
        return "NAME=VALUE,..."
    if get_origin(annotation) is Annotated:
        return _metavar(get_args(annotation)[0])
    if NoneType in get_args(annotation):
        return f"{_metavar(get_args(annotation)[0])}|none"
    return re.sub(r"^STR$", "TEXT", annotation.__name__.upper())
