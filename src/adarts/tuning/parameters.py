"""What a study tunes: settings by their dotted names, each with a range or a list of values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_origin

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from adarts.config.loading import checked, fields, nested, value_at
from adarts.config.settings import SearchConfig
from adarts.config.values import assignments, kinds
from adarts.errors import ConfigError, nearest
from adarts.methods import get_method

Value = bool | int | float | str | None
Assignment = Mapping[str, Value]
"""A value for every tuned setting, by its dotted name."""

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")
_LOOKS_LIKE_A_RANGE = re.compile(r"[^,/]*\.\.[^,/]*")  # a path has a slash
_EXAMPLE = "write it like alphas.learning_rate=1e-4..1e-1:log or search.batch_size=32,64"
_DIGITS = 4  # of a tuned number, so that a command with it stays readable
_REFUSED = {
    "seed": "the best seed says nothing about another one; run the best setting with several seeds",
    **dict.fromkeys(
        ("data", "space", "scale"),
        "the trials of a study are compared, so they search one space on the same images at one scale",
    ),
    **{
        f"images.{name}": "it decides which images measure a trial, so the trials could not be compared"
        for name in ("root", "download", "per_class", "test_fraction", "validation", "max_broken", "split")
    },
}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        name: the setting.
        low, high: its ends.
        log: whether to draw the logarithm evenly.
        whole: whether the numbers are whole.
    """

    name: str
    low: float
    high: float
    log: bool
    whole: bool

    @property
    def ends(self) -> tuple[Value, ...]:
        """The extreme values."""
        return self.low, self.high

    def holds(self, value: Value) -> bool:
        """Whether a value is within the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def fitted(self, value: Any) -> Value:
        """A number, rounded to a few digits within the range."""
        return value if self.whole else min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)

    def suggest(self, trial: Trial) -> None:
        """Give a trial its value, unless it has one."""
        if self.whole:
            trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        else:
            trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def distribution(self) -> IntDistribution | FloatDistribution:
        """The range as Optuna knows it."""
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def record(self) -> dict[str, Any]:
        """The range as plain data."""
        return {"low": self.low, "high": self.high, "log": self.log, "whole": self.whole}


@dataclass(frozen=True)
class Choice:
    """A list of values.

    Attributes:
        name: the setting.
        values: its values, at least two.
    """

    name: str
    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """All values."""
        return self.values

    def holds(self, value: Value) -> bool:
        """Whether a value is in the list."""
        return value in self.values

    def fitted(self, value: Any) -> Value:
        """The value itself."""
        return value  # type: ignore[no-any-return]

    def suggest(self, trial: Trial) -> None:
        """Give a trial its value, unless it has one."""
        trial.suggest_categorical(self.name, self.values)

    def distribution(self) -> CategoricalDistribution:
        """The list as Optuna knows it."""
        return CategoricalDistribution(self.values)

    def record(self) -> dict[str, Any]:
        """The list as plain data."""
        return {"values": list(self.values)}


Parameter = Range | Choice


def from_record(name: str, record: Mapping[str, Any]) -> Parameter:
    """A parameter from its plain data."""
    return Choice(name, tuple(record["values"])) if "values" in record else Range(name, **record)


def parse(words: Iterable[str], method: str) -> tuple[Parameter, ...]:
    """Read ``NAME=LOW..HIGH``, ``NAME=LOW..HIGH:log`` and ``NAME=VALUE,VALUE,...``.

    Args:
        words: the words.
        method: the search method, which knows the types of ``options.NAME``.

    Raises:
        ConfigError: a word has another form, its setting is unknown or cannot be tuned, or a value is invalid.
    """
    found: dict[str, Parameter] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not text:
            raise ConfigError(f"--tune {word[:60]}: a range or values are missing; {_EXAMPLE}")
        if name in found:
            raise ConfigError(f"--tune {name[:60]}: given twice; give all its values at once")
        found[name] = _parameter(name, text.strip(), method)
    if not found:
        raise ConfigError(f"--tune names no setting; {_EXAMPLE}")
    return tuple(found.values())


def _parameter(name: str, text: str, method: str) -> Parameter:
    if name.startswith("run."):
        raise ConfigError(f"--tune {name}: it only controls how a search is run; give it once for all trials")
    if name in _REFUSED:
        raise ConfigError(f"--tune {name}: cannot be tuned: {_REFUSED[name]}")
    accepted = _accepted(name, method)
    if {tuple, dict} & {get_origin(kind) for kind in accepted}:
        raise ConfigError(f"--tune {name}: the setting takes several values, so it cannot be tuned")
    if match := _RANGE.fullmatch(text):
        return _range(name, match, accepted)
    if _LOOKS_LIKE_A_RANGE.fullmatch(text):
        raise ConfigError(f"--tune {name}={text[:40]}: a range is LOW..HIGH or LOW..HIGH:log, with two numbers")
    values = tuple(dict.fromkeys(_value(name, part.strip()) for part in text.split(",") if part.strip()))
    if len(values) < 2:
        raise ConfigError(
            f"--tune {name}={text[:40]}: one value leaves no choice; give a range or several values, or set it once for all "
            "trials"
        )
    return Choice(name, values)


def _range(name: str, match: re.Match[str], accepted: Sequence[Any]) -> Range:
    where = f"--tune {name}={match[0][:40]}"
    if not {int, float} & set(accepted):
        raise ConfigError(f"{where}: the setting is no number; list its values, such as {name}=A,B")
    whole = float not in accepted
    try:
        low, high = (int(end) if whole else float(end) for end in match.groups()[:2])
    except ValueError:
        raise ConfigError(f"{where}: the setting takes whole numbers, so both ends must be whole") from None
    if low >= high:
        raise ConfigError(f"{where}: the first number must be smaller than the second")
    if match[3] and low <= 0:
        raise ConfigError(f"{where}: :log needs numbers above 0")
    return Range(name, low, high, bool(match[3]), whole)


def _accepted(name: str, method: str) -> list[Any]:
    """The types that a setting accepts.

    Raises:
        ConfigError: there is no such setting.
    """
    if name.startswith("options."):
        own = get_method(method).Options.model_fields
        option = name.removeprefix("options.")
        if option not in own:
            hint = nearest(option, own) if own else "; it has none"
            raise ConfigError(f"--tune {name[:60]}: the method {method} has no option {option[:40]!r}{hint}")
        return kinds(own[option].annotation)
    known = fields(SearchConfig)
    if name not in known:
        raise ConfigError(f"--tune {name[:60]}: unknown setting{nearest(name[:60], known)}")
    return kinds(known[name].annotation)


def _value(name: str, text: str) -> Value:
    """A value as the setting reads it; only the method knows the types of its options."""
    if name.startswith("options."):
        return assignments(f"{name}={text}")[name]  # type: ignore[no-any-return]
    value = value_at(checked(SearchConfig, nested(name, text), "--tune {}".format), name)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
