"""The plan of a study: what is tuned and how it is judged. It decides every trial, and the folder of a study keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from adarts.config.loading import merged, value_at
from adarts.config.settings import SearchConfig
from adarts.engine.config_file import compared_settings
from adarts.errors import ConfigError
from adarts.searching import search_config
from adarts.sweeping.points import Point, grid
from adarts.tuning.objective import needed, require_measurable
from adarts.tuning.parameters import Assignment, Parameter, parse

Prune = Literal["none", "median", "hyperband"]


@dataclass(frozen=True)
class Plan:
    """What a study does.

    Attributes:
        parameters: what is tuned.
        objective: what the trials are judged by.
        prune: whether and how unpromising trials end early.
        given: the settings of all trials, nested, as for :func:`adarts.searching.search_config`.
        config_file: a YAML file with some or all settings.
    """

    parameters: tuple[Parameter, ...]
    objective: str = "validation"
    prune: str = "none"
    given: Mapping[str, Any] = field(default_factory=dict)
    config_file: Path | None = None

    @classmethod
    def of(
        cls,
        tune: Sequence[str],
        objective: str,
        prune: str,
        given: Mapping[str, Any],
        config_file: Path | None = None,
    ) -> Plan:
        """A plan from the words of the command line, all of it checked except the images.

        Raises:
            ConfigError: a word, a setting or a combination of them is invalid; nothing was started.
        """
        if objective == "validation" and _found(given, "search.validate_supernet") is False:
            raise ConfigError("--objective validation measures the supernet; remove --search.no-validate-supernet")
        if _found(given, "run.run_dir") is not None or _found(given, "run.resume"):
            raise ConfigError(
                "--run-dir and --resume are for a single search; a study has --study-dir and always continues"
            )
        if _found(given, "run.processes") not in (None, 1):
            raise ConfigError("--processes: a trial runs in one process; --slots runs several trials at once")
        names = [word.partition("=")[0].replace("-", "_") for word in tune]
        if "method" in names and any(name.startswith("options.") for name in names):
            raise ConfigError("--tune options.NAME is for one method, so method cannot be tuned beside it")
        given = merged(given, needed(objective))
        method = "auto" if "method" in names else search_config(config_file, **given).method
        plan = cls(parse(tune, method), objective, prune, given, config_file)
        for point in plan.corners:
            require_measurable(objective, point.config)
        return plan

    @cached_property
    def base(self) -> SearchConfig:
        """The configuration without tuning."""
        return search_config(self.config_file, **self.given)

    @property
    def usual(self) -> Assignment | None:
        """The tuned settings without tuning; None if one of them is not within its range."""
        content = self.base.model_dump()
        values = {parameter.name: _found(content, parameter.name) for parameter in self.parameters}
        return values if all(one.holds(values[one.name]) for one in self.parameters) else None

    @cached_property
    def corners(self) -> Sequence[Point]:
        """Searches with the first values of all settings, and with every other extreme value of each.

        Raises:
            ConfigError: one of them is impossible.
        """
        first = {parameter.name: parameter.ends[0] for parameter in self.parameters}
        others = [(one.name, value) for one in self.parameters for value in one.ends[1:]]
        return [self._search(first), *(self._search({**first, name: value}) for name, value in others)]

    def point(self, values: Assignment, name: str) -> Point:
        """The search with these values, under a name.

        Raises:
            ConfigError: they do not fit together.
        """
        return dataclasses.replace(self._search(values), name=name)

    def _search(self, values: Assignment) -> Point:
        (point,) = grid({setting: [value] for setting, value in values.items()}, self.given, self.config_file)
        return point

    def record(self, images: str) -> dict[str, Any]:
        """What must be equal to continue a study, as plain data.

        Args:
            images: fingerprint of the images.
        """
        return {
            "tune": {parameter.name: parameter.record() for parameter in self.parameters},
            "objective": self.objective,
            "prune": self.prune,
            "config": compared_settings(self.base),
            "images": images,
        }


def _found(values: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name in a nested mapping; None if there is none."""
    try:
        return value_at(values, name)
    except KeyError:
        return None
