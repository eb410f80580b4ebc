"""ADARTS: differentiable neural architecture search with channel attention.

    found = adarts.search(data="digits", scale="smoke")
    trained = adarts.train(genotype=found.genotype, data="digits", scale="smoke")
    model = adarts.build(found.genotype, num_classes=10)
    model = adarts.create_model("ADARTS_V1", num_classes=10)
    model, facts = adarts.load_model(trained.run_dir)

Importing the package is cheap; torch is loaded with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from adarts.config import settings
    from adarts.data import Data, Source
    from adarts.searching import SearchResult
    from adarts.spaces import Genotype
    from adarts.sweeping import SweepResult
    from adarts.training import TrainResult, build, load_model, prepare
    from adarts.zoo.create import create_model

__version__ = "0.1.0"
__all__ = ["build", "create_model", "load_model", "prepare", "search", "sweep", "train"]


def search(
    data: Data | None = None,
    *,
    method: str | None = None,
    scale: str | None = None,
    space: str | None = None,
    seed: int | None = None,
    options: Mapping[str, bool | float | str] | None = None,
    edge: Mapping[str, Any] | settings.EdgeDesign | None = None,
    supernet: Mapping[str, Any] | settings.SupernetSettings | None = None,
    search: Mapping[str, Any] | settings.LoopSettings | None = None,
    weights: Mapping[str, Any] | settings.WeightOptimizer | None = None,
    alphas: Mapping[str, Any] | settings.AlphaOptimizer | None = None,
    images: Mapping[str, Any] | settings.ImageSettings | None = None,
    run: Mapping[str, Any] | settings.RunSettings | None = None,
    config_file: Path | str | None = None,
) -> SearchResult:
    """Search for cells.

    What is not given follows from the configuration file, the scale, the method and the defaults, in this order
    (``docs/architecture.md``, "Where settings come from"). A section holds any of its settings: ``search={"epochs": 3}``; of a
    settings object, those that were set count.

    Args:
        data: ``digits`` (embedded, the default), ``cifar10``, ``cifar100`` or ``folder:PATH``; or a map-style torch data set of
            (image, label), a pair of arrays (images, labels), or a pair (train, test) of either (``docs/data.md``).
        method: the search method, by default ``adarts``; ``adarts methods`` lists them; ``file.py:Class`` is one of your own.
        scale: the budget, from ``smoke`` (seconds) to ``paper``; by default what this machine can carry, ``gpu`` or ``cpu``.
            ``adarts configs`` lists them.
        space: what is searched: ``darts`` (the default), ``nasbench201``, ``s1`` to ``s4``; ``file.py:NAME`` is one of your own.
        seed: of everything random; 0 by default.
        options: the method's own settings; ``adarts methods show NAME`` lists them.
        edge: the design of the mixed edges.
        supernet: the network that is searched.
        search: epochs, batch size and warm-up.
        weights: the optimizer of the weights.
        alphas: the optimizer of the alphas.
        images: which images, and what is done to them.
        run: where and how: folder, device, threads, time limit.
        config_file: a YAML file with some or all settings, such as another run's ``config.yaml``.

    Raises:
        AdartsError: one line that says what cannot work; :func:`adarts.searching.run_search` lists the kinds.
    """
    given = _given(locals())
    from adarts.searching import run_search, search_config

    source = _objects(given)
    return run_search(search_config(**given), source)


def sweep(
    vary: Mapping[str, Sequence[Any]],
    slots: int = 1,
    sweep_dir: Path | str | None = None,
    *,
    data: str | None = None,
    method: str | None = None,
    scale: str | None = None,
    space: str | None = None,
    seed: int | None = None,
    options: Mapping[str, bool | float | str] | None = None,
    edge: Mapping[str, Any] | settings.EdgeDesign | None = None,
    supernet: Mapping[str, Any] | settings.SupernetSettings | None = None,
    search: Mapping[str, Any] | settings.LoopSettings | None = None,
    weights: Mapping[str, Any] | settings.WeightOptimizer | None = None,
    alphas: Mapping[str, Any] | settings.AlphaOptimizer | None = None,
    images: Mapping[str, Any] | settings.ImageSettings | None = None,
    run: Mapping[str, Any] | settings.RunSettings | None = None,
    config_file: Path | str | None = None,
) -> SweepResult:
    """Search with every combination of what varies, each in a process and a run folder of its own.

    Args:
        vary: the values of each setting that varies, by its dotted name: ``{"method": ["darts", "adarts"], "seed": range(3)}``.
        slots: searches at once.
        sweep_dir: the folder; what is finished there stays, the rest is continued.
        data, method, scale, space, seed, options, edge, supernet, search, weights, alphas, images, run, config_file: what holds
            for all of them, as for :func:`search`.

    Raises:
        AdartsError: one line that says what cannot work; :func:`adarts.sweeping.run_sweep` lists the kinds.
    """
    given = {
        name: value for name, value in locals().items() if name not in ("vary", "slots", "sweep_dir", "config_file")
    }
    from pathlib import Path

    from adarts.sweeping import grid, run_sweep

    return run_sweep(grid(vary, _given(given), config_file), slots, None if sweep_dir is None else Path(sweep_dir))


def train(
    genotype: Genotype | str | Path | None = None,
    *,
    data: Data | None = None,
    scale: str | None = None,
    seed: int | None = None,
    network: Mapping[str, Any] | settings.NetworkSettings | None = None,
    training: Mapping[str, Any] | settings.TrainingSettings | None = None,
    weights: Mapping[str, Any] | settings.WeightOptimizer | None = None,
    images: Mapping[str, Any] | settings.ImageSettings | None = None,
    run: Mapping[str, Any] | settings.RunSettings | None = None,
    config_file: Path | str | None = None,
) -> TrainResult:
    """Train the network of a genotype, or with ``network={"name": "resnet110"}`` a hand-designed one, and test it once.

    What is not given follows from the configuration file, the scale, the recipe of the cells and the defaults, in this order.

    Args:
        genotype: the cells: what a search found, a search run's folder, a genotype file or its text, a name of the zoo,
            ``random:SEED``; by default those of the latest search.
        data: ``digits`` (embedded, the default), ``cifar10``, ``cifar100`` or ``folder:PATH``; or a map-style torch data set of
            (image, label), a pair of arrays (images, labels), or a pair (train, test) of either (``docs/data.md``).
        scale: the budget, from ``smoke`` (seconds) to ``paper``; by default what this machine can carry, ``gpu`` or ``cpu``.
            ``adarts configs`` lists them.
        seed: of everything random; 0 by default.
        network: width, depth, drop path and auxiliary head; or the name of a hand-designed network.
        training: epochs, batch size and what else is said of the loop.
        weights: the optimizer.
        images: which images, and what is done to them.
        run: where and how: folder, device, threads, time limit.
        config_file: a YAML file with some or all settings, such as another run's ``config.yaml``.

    Raises:
        AdartsError: one line that says what cannot work; :func:`adarts.training.run_training` lists the kinds.
    """
    given = _given(locals())
    from adarts.spaces import Genotype
    from adarts.training import run_training, train_config

    if genotype is not None:
        given["genotype"] = genotype.to_json() if isinstance(genotype, Genotype) else str(genotype)
    source = _objects(given)
    return run_training(train_config(**given), source)


_LAZY = {
    "build": "adarts.training",
    "load_model": "adarts.training",
    "prepare": "adarts.training",
    "create_model": "adarts.zoo.create",
}


def __getattr__(name: str) -> Any:
    """The functions of :data:`_LAZY`, imported when they are used: they load torch."""
    if name not in _LAZY:
        raise AttributeError(f"module 'adarts' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a call's arguments: None leaves one to the layers below."""
    return {name: value for name, value in arguments.items() if value is not None}


def _objects(given: dict[str, Any]) -> Source | None:
    """The images among the settings that are no name; in their place comes what refers to them."""
    if isinstance(given.get("data", ""), str):
        return None
    from adarts.data import as_source

    source = as_source(given["data"])
    given["data"] = source.reference
    return source
