"""The points of a sweep: all combinations of the varied settings, each a complete search, all checked before the first runs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch

from adarts.config.cluster import refuse_automatic_scale
from adarts.config.loading import AUTO, checked, fields, merged, nested, read_config_file, value_at
from adarts.config.settings import ImageSettings, SearchConfig, code_options
from adarts.data import load_images
from adarts.engine.config_file import compared_settings
from adarts.errors import ConfigError, DataError
from adarts.methods import create
from adarts.report.numbers import shown
from adarts.searching import SearchTask
from adarts.searching.config import checked_search, search_layers
from adarts.searching.phases import checked_phases

_MOST = 10_000  # points; more are probably a mistake, such as a seed range with an extra digit


@dataclass(frozen=True)
class Point:
    """One search of a sweep.

    Attributes:
        name: name of its folder.
        settings: its position in the grid: method, other varied settings, and seed.
        config: the complete configuration.
        epochs: epochs of all phases.
        images: the image settings that were given or varied, without those of the scale and the data set.
    """

    name: str
    settings: Mapping[str, Any]
    config: SearchConfig
    epochs: int
    images: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> list[str]:
        """The options that name the user's own code."""
        return code_options(self.config)


def grid(
    vary: Mapping[str, Sequence[Any]],
    given: Mapping[str, Any] | None = None,
    config_file: Path | str | None = None,
    elsewhere: bool = False,
) -> list[Point]:
    """All combinations of the varied settings. The first seed of all combinations comes first, so partial sweeps are comparable.

    Args:
        vary: dotted name of a setting -> its values: ``{"seed": range(3), "edge.k": [2, 4]}``.
        given: settings of all points, as for :func:`adarts.searching.search_config`.
        config_file: a YAML file with some or all settings.
        elsewhere: whether the searches run on other machines; then the scale must be named, because the automatic one is that
            of this machine.

    Raises:
        ConfigError: a name, value or combination is invalid, or two points are the same search.
    """
    common = checked(SearchConfig, given or {})
    if name := next((name for name in ("run.run_dir", "run.resume") if _holds(common, name)), None):
        raise ConfigError(f"{name} is for a single search; a sweep has its own folder and always continues")
    axes = _axes(vary, common)
    written = read_config_file(Path(config_file)) if config_file is not None else {}
    if elsewhere and "scale" not in axes and {common.get("scale", AUTO), written.get("scale", AUTO)} == {AUTO}:
        refuse_automatic_scale()
    if (number := math.prod(map(len, axes.values()))) > _MOST:
        raise ConfigError(f"the sweep would have {number:,} points; at most {_MOST:,} are allowed")
    points = [_point(dict(zip(axes, values, strict=True)), common, config_file) for values in product(*axes.values())]
    ((name, number),) = Counter(point.name for point in points).most_common(1)
    if number > 1:
        raise ConfigError(f"two points would share the folder {name}; remove one, or run it in another sweep")
    return points


def require_possible(points: Sequence[Point]) -> None:
    """Check that the points would not fail before their first step: read the images and build the supernets.

    Each data set is read once, so it is also downloaded only once, before the processes start.

    Raises:
        ConfigError: settings do not fit together; the message names the point.
        DataError: images are missing or unusable.
    """
    designs: dict[str, Point] = {}
    for point in points:
        designs.setdefault(repr({**point.settings, "seed": None}), point)
    by_images: dict[tuple[str, ImageSettings], list[Point]] = {}
    for point in designs.values():
        by_images.setdefault((point.config.data, point.config.images), []).append(point)
    for (source, images), members in by_images.items():
        with _named(members[0].name):
            data = load_images(source, images, seed=0)
        for point in members:
            with _named(point.name):
                SearchTask(point.config, data, create(point.config), torch.device("cpu"))


def _axes(vary: Mapping[str, Sequence[Any]], common: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The checked values of each axis; the seed comes first, i.e. it varies most slowly."""
    counts = compared_settings(SearchConfig())
    circumstances = {name for name in fields(SearchConfig) if not _holds(counts, name)}
    axes: dict[str, Sequence[Any]] = {}
    for name, values in vary.items():
        if isinstance(values, str) or len(values) == 0:
            raise ConfigError(f"{name}: a sweep needs a list of values, not {values!r}")
        if name in circumstances:
            raise ConfigError(
                f"{name} only controls how a search is run, so it cannot vary; give it once for all points"
            )
        if _holds(common, name):
            raise ConfigError(f"{name} is both given and varied; choose one of them")
        axes[name] = [value_at(checked(SearchConfig, nested(name, value)), name) for value in values]
    return {name: axes[name] for name in sorted(axes, key=lambda name: name != "seed")}


def _point(values: Mapping[str, Any], common: Mapping[str, Any], config_file: Path | str | None) -> Point:
    given = merged(common, *(nested(name, value) for name, value in values.items()))
    layers = search_layers(given, config_file)
    varied = {name: value for name, value in values.items() if name not in ("method", "seed")}
    settings = {"method": layers["method"], **varied, "seed": layers["seed"]}
    with _named(folder_name(settings)):
        config = checked_search(layers)
        epochs = sum(phase.epochs for phase in checked_phases(config, create(config)))
    for name in varied:
        if name.startswith("options."):  # as the method reads it, so that 1 and 1.0 give the same folder
            settings[name] = config.options[name.removeprefix("options.")]
    written = checked(SearchConfig, read_config_file(Path(config_file))) if config_file is not None else {}
    images = {**written.get("images", {}), **given.get("images", {})}
    return Point(folder_name(settings), settings, config, epochs, images)


def folder_name(settings: Mapping[str, Any]) -> str:
    """Name of the folder: method, other varied settings, seed."""
    words = (f"{name}={shown(value)}" for name, value in settings.items() if name not in ("method", "seed"))
    text = "-".join([settings["method"], *words, f"seed{settings['seed']}"])
    return re.sub(r"[^A-Za-z0-9._=+-]+", "-", text).strip("-.")


def _holds(values: Mapping[str, Any], name: str) -> bool:
    """Whether a nested mapping contains a dotted name."""
    try:
        value_at(values, name)
    except (KeyError, TypeError):
        return False
    return True


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Add the point's name to error messages."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(f"point {name}: {error}") from error
