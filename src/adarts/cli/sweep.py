"""``adarts sweep``: search with many seeds, methods and settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from adarts.cli.options import ConfigFile, parse_settings
from adarts.config.loading import to_yaml
from adarts.config.settings import SearchConfig
from adarts.config.values import assignments
from adarts.errors import ConfigError

_BESIDE = ("vary", "method", "seed", "slots", "sweep_dir")
_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
_MOST_SEEDS = 10_000


class Sweep(SearchConfig, ConfigFile):
    """Search with every combination of methods, seeds and varied settings, each in its own run folder. All other settings
    apply to every search. --threads is per search (none: as many as its slot has cores); --time-limit is for the whole sweep.
    """

    print_config: bool = False
    """Check every combination, print its complete configuration, and exit."""
    method: tuple[str, ...] = ()  # type: ignore[assignment]
    """Search methods; `adarts methods` lists them. Each brings its own settings."""
    seed: tuple[str, ...] = ()  # type: ignore[assignment]
    """Seeds, such as 0 1 2 or 0-4."""
    vary: tuple[str, ...] = ()
    """Settings to vary with their values, such as edge.k=2,4 search.epochs=10,20."""
    slots: PositiveInt = 1
    """Searches to run at once. Each gets an equal share of the cores, and one thread per core unless --threads is given."""
    sweep_dir: Path | None = None
    """Folder of the sweep; a sweep in it is continued, and its finished searches are kept. None makes a new one in
    runs/sweep."""


def run(words: list[str]) -> int:
    """Run ``adarts sweep``."""
    given, beside = parse_settings(Sweep, words, "adarts sweep")
    own = {name: given.pop(name, Sweep.model_fields[name].default) for name in _BESIDE}
    vary = _axes(own["method"], own["seed"], own["vary"])
    from adarts.sweeping import grid, run_sweep

    points = grid(vary, given, beside.config)
    if beside.print_config:
        print("---\n".join(f"# {point.name}\n{to_yaml(point.config)}" for point in points), end="")
        return 0
    print(run_sweep(points, own["slots"], own["sweep_dir"]).folder)
    return 0


def _axes(method: Sequence[str], seed: Sequence[str], vary: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The varied settings: dotted name -> values."""
    axes: dict[str, Sequence[Any]] = {}
    if method:
        axes["method"] = list(_split(method))
    for word in vary:
        name, equals, values = word.partition("=")
        name = name.replace("-", "_")
        if not equals:
            raise ConfigError(f"--vary {word[:60]}: values are missing; write it like --vary edge.k=2,4")
        if name in axes or (name == "seed" and seed):
            raise ConfigError(f"--vary {name[:60]}: given twice; give all its values at once")
        axes[name] = list(_split([values]))
        if name.startswith("options."):  # only the method knows the types of its options
            axes[name] = [assignments(f"{name}={value}")[name] for value in axes[name]]
    if seed:
        axes["seed"] = _seeds(list(_split(seed)))
    return axes


def _split(words: Iterable[str]) -> Iterable[str]:
    return (value for word in words for value in word.split(",") if value)


def _seeds(words: Sequence[str]) -> list[str]:
    seeds: list[str] = []
    for word in words:
        match = _RANGE.fullmatch(word)
        several = range(int(match[1]), int(match[2]) + 1) if match else ()
        if match and not 0 < len(several) <= _MOST_SEEDS:
            raise ConfigError(f"--seed {word}: a range is FIRST-LAST with at most {_MOST_SEEDS:,} seeds")
        seeds += map(str, several) if match else [word]
    return seeds
