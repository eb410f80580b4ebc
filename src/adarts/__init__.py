"""ADARTS: differentiable neural architecture search with channel attention.

    found = adarts.search(data="signs", scale="smoke")
    trained = adarts.train(genotype=found.genotype, data="signs", scale="smoke")
    model = adarts.build(found.genotype, num_classes=10)
    model = adarts.create_model("ADARTS_V1", num_classes=10)

Importing the package is cheap; torch is loaded with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from adarts.models import Network
    from adarts.searching import SearchResult
    from adarts.spaces import Genotype
    from adarts.sweeping import SweepResult
    from adarts.training import TrainResult

__version__ = "0.1.0"
__all__ = ["build", "create_model", "search", "sweep", "train"]


def search(**settings: Any) -> SearchResult:
    """Search for cells; see :func:`adarts.config.loading.search_config` for the settings (``data``, ``method``, ``scale``, …)."""
    from adarts.config.loading import search_config
    from adarts.methods import published
    from adarts.searching import run_search

    return run_search(search_config(published, **settings))


def sweep(
    vary: Mapping[str, Sequence[Any]],
    slots: int = 1,
    sweep_dir: Path | str | None = None,
    config_file: Path | str | None = None,
    **settings: Any,
) -> SweepResult:
    """Search with every combination of what varies, each in a process and a run folder of its own.

    Args:
        vary: the values of each setting that varies, by its dotted name: ``{"method": ["darts", "adarts"], "seed": range(3)}``.
        slots: searches at once.
        sweep_dir: the folder; what is finished there stays, the rest is continued.
        config_file: as for :func:`search`, as are the settings that hold for all of them.
    """
    from pathlib import Path

    from adarts.sweeping import grid, run_sweep

    return run_sweep(grid(vary, settings, config_file), slots, None if sweep_dir is None else Path(sweep_dir))


def train(genotype: Genotype | str | Path | None = None, **settings: Any) -> TrainResult:
    """Train the network of a genotype, or with ``network={"name": "resnet110"}`` a hand-designed one.

    See :func:`adarts.config.loading.train_config` for the settings; with neither, the cells of the latest search are trained.
    """
    from adarts.config.loading import train_config
    from adarts.spaces import Genotype
    from adarts.training import recipe, run_training

    if genotype is not None:
        settings["genotype"] = genotype.to_json() if isinstance(genotype, Genotype) else str(genotype)
    return run_training(train_config(recipe, **settings))


def build(
    genotype: Genotype | str | Path, num_classes: int, channels: int = 36, cells: int = 20, **options: Any
) -> Network:
    """The network of a genotype with fresh weights; see :func:`adarts.training.build`."""
    from adarts.training import build as build_network

    return build_network(genotype, num_classes, channels, cells, **options)


def create_model(
    name: str,
    num_classes: int = 10,
    channels: int | None = None,
    cells: int | None = None,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    **options: Any,
) -> nn.Module:
    """A published or hand-designed network by its name, with fresh weights; see :func:`adarts.zoo.create.create_model`."""
    from adarts.zoo.create import create_model as create

    return create(name, num_classes, channels, cells, in_channels, image_size, **options)
