"""The configuration of a training, merged from explicit settings and the published recipe of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from adarts.config.loading import Layers, Values, merged, validated
from adarts.config.reading import shown
from adarts.config.settings import TrainConfig
from adarts.data import settings_of
from adarts.engine import GENOTYPE_FILE, scale_of_machine
from adarts.errors import AdartsError, ConfigError, DataError
from adarts.training.model import resolve_genotype
from adarts.zoo.baselines import recipe_of

OF_SPACES: Mapping[str, Values] = {
    # Dong, Yang: NAS-Bench-201, ICLR 2020, section 2: the recipe behind the accuracies in the benchmark's table.
    "nasbench201": {
        "network": {"channels": 16, "cells": 15, "drop_path": 0.0, "auxiliary_weight": 0.0},
        "training": {"epochs": 200, "batch_size": 256},
        "weights": {"learning_rate": 0.1, "nesterov": True, "weight_decay": 5e-4, "clip": math.inf},
        "images": {"crop_padding": 4, "flip": True, "cutout": 0},
    },
}
"""Recipes by space. All other spaces use the recipe of DARTS, i.e. the defaults."""


def train_config(config_file: Path | str | None = None, **given: Any) -> TrainConfig:
    """Build the complete configuration of a training run.

    Args:
        config_file: a YAML file with some or all settings.
        given: explicit settings, which override all others: ``genotype``, ``data``, ``scale``, ``seed``, and sections as
            mappings or settings, e.g. ``training={"epochs": 3}``.

    Raises:
        ConfigError: a name, value or combination of settings is invalid.
    """
    layers = Layers(TrainConfig, given, {"scale": scale_of_machine}, config_file)
    name, run = layers.chosen["network"]["name"], layers.chosen["run"]
    default = None if name is not None else str(run["runs"] / "search" / "latest")
    genotype = {"genotype": default, **layers.file, **layers.given}["genotype"]
    if name is None:
        genotype = kept_genotype(run["run_dir"]) or genotype
    space: str | None = "darts" if name is None else None
    recipe: Values = {}
    # The training itself refuses an unreadable genotype, unless it continues with the genotype in its run folder.
    with suppress(DataError):
        space = None if name is not None or genotype is None else resolve_genotype(genotype).space
        recipe = _recipe(space, name)
        if name is None and config_file and layers.given.get("genotype") and layers.file.get("genotype"):
            _refuse_cells_of_another_recipe(genotype, space, recipe, layers.file, Path(config_file))
    published = {**recipe, "genotype": default}
    values = layers.put_together(space, published, f"recipe of '{name or space}'", settings_of)
    return validated(TrainConfig, values)


def usual_layers(config: TrainConfig, space: str | None) -> dict[str, Any]:
    """The default settings of a training with this data set and scale; `space` is None for hand-designed networks."""
    asked = {"data": config.data, "scale": config.scale, "network": {"name": config.network.name}}
    layers = Layers(TrainConfig, asked, {"scale": scale_of_machine})
    return layers.put_together(space, _recipe(space, config.network.name), "recipe", settings_of)


def _recipe(space: str | None, network: str | None) -> Values:
    """The published recipe of a space's cells, or of a hand-designed network."""
    return OF_SPACES.get(str(space), {}) if network is None else recipe_of(network)


def kept_genotype(run_dir: Path | None) -> str | None:
    """The genotype file in a run folder, if any. A continued run uses it, because `latest` may point to another search."""
    return str(run_dir / GENOTYPE_FILE) if run_dir is not None and (run_dir / GENOTYPE_FILE).is_file() else None


def _refuse_cells_of_another_recipe(
    genotype: str, space: str | None, recipe: Values, file: Values, config_file: Path
) -> None:
    """Refuse cells of a space whose recipe differs from the recipe of the file's cells; the file would override it."""
    reference = kept_genotype(config_file.parent) or file["genotype"]
    try:
        space_of_file = resolve_genotype(reference).space
    except AdartsError:  # the file's cells no longer exist
        return
    recipe_of_file = _recipe(space_of_file, None)
    both = merged(recipe_of_file, recipe)
    overridden = [section for section, settings in both.items() if settings.keys() & file.get(section, {}).keys()]
    if recipe != recipe_of_file and overridden:
        raise ConfigError(
            f"genotype {shown(genotype)} is of space '{space}', but {', '.join(overridden)} in {config_file} are for cells of "
            f"'{space_of_file}'; omit the file, or remove genotype from it to keep its settings"
        )
