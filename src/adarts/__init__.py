"""ADARTS: differentiable neural architecture search with channel attention.

    found = adarts.search(data="digits", scale="smoke")
    trained = adarts.train(genotype=found.genotype, data="digits", scale="smoke")
    model = adarts.build(found.genotype, num_classes=10)
    model = adarts.create_model("ADARTS_V1", num_classes=10)
    model, facts = adarts.load_model(trained.run_dir)
    predictions = adarts.predict(trained.run_dir, "photos")
    delivered = adarts.run("photos", max_params=100_000)

Importing the package is cheap: torch is loaded on the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from adarts.config import cluster, settings
    from adarts.data import Data, Source
    from adarts.export.predict import predict
    from adarts.pipeline import run
    from adarts.searching import SearchResult
    from adarts.spaces import Genotype
    from adarts.sweeping import SweepResult
    from adarts.training import TrainResult, build, load_model, prepare
    from adarts.zoo.create import create_model

__version__ = "0.2.0"
__all__ = ["build", "create_model", "load_model", "predict", "prepare", "run", "search", "sweep", "train"]


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

    Missing settings come from the configuration file, the scale, the method and the defaults, in this order
    (``docs/architecture.md``, "Where settings come from"). A section may contain some of its settings: ``search={"epochs": 3}``.
    In a settings object, only the values that were set explicitly count.

    Args:
        data: ``digits`` (embedded, the default), ``cifar10``, ``cifar100`` or ``folder:PATH``; or a map-style torch data set of
            (image, label), a pair of arrays (images, labels), or a pair (train, test) of either (``docs/data.md``).
        method: search method, by default ``trials``, in NAS-Bench-201 ``adarts-trials``. ``adarts methods`` lists all; use
            ``file.py:Class`` for your own.
        scale: budget, from ``smoke`` (seconds) to ``paper``; by default ``gpu`` or ``cpu``, depending on the machine.
            ``adarts configs`` lists all.
        space: search space: ``darts`` (the default), ``nasbench201``, or ``s1`` to ``s4``; use ``file.py:NAME`` for your own.
        seed: random seed, 0 by default.
        options: the method's own settings; ``adarts methods show NAME`` lists them.
        edge: design of the mixed edges.
        supernet: width and depth of the supernet.
        search: epochs, batch size and warm-up.
        weights: optimizer of the weights.
        alphas: optimizer of the alphas.
        images: selection and preprocessing of the images.
        run: folder, device, threads and time limit.
        config_file: a YAML file with some or all settings, such as another run's ``config.yaml``.

    Raises:
        AdartsError: the search cannot run or was stopped; see :func:`adarts.searching.run_search`.
    """
    given = _given(locals())
    from adarts.searching import run_search, search_config

    source = _objects(given)
    return run_search(search_config(**given), source)


def sweep(
    vary: Mapping[str, Sequence[Any]],
    slots: int | None = None,
    sweep_dir: Path | str | None = None,
    *,
    on: str = "local",
    slurm: Mapping[str, Any] | cluster.SlurmSettings | None = None,
    ray: Mapping[str, Any] | cluster.RaySettings | None = None,
    detach: bool = False,
    devices: Sequence[str] | None = None,
    train: Mapping[str, Any] | None = None,
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
    """Run a search for every combination of the given values, each in its own process and run folder.

    The settings `data`, `method`, `scale`, `space`, `seed`, `options`, `edge`, `supernet`, `search`, `weights`, `alphas`,
    `images`, `run` and `config_file` are those of all searches; see :func:`search`.

    Args:
        vary: values to combine, by dotted setting name: ``{"method": ["darts", "adarts"], "seed": range(3)}``.
        slots: number of searches that run at the same time on this machine, 1 by default.
        sweep_dir: folder of the sweep; finished searches in it are kept, the others are continued.
        on: ``local``, or ``slurm`` or ``ray`` for jobs of a cluster.
        slurm: options of jobs on Slurm.
        ray: options of jobs on Ray.
        detach: submit the jobs and return; the same call attaches again.
        devices: devices of this machine, such as ``["cuda:0", "cuda:1"]``; each slot takes one in turn.
        train: also train what the searches found and random cells at equal size, with these settings by dotted name; ``{}``
            trains with those of the scale.

    Raises:
        AdartsError: the sweep cannot run or was stopped; see :func:`adarts.sweeping.run_sweep`.
    """
    given = _given(locals())
    from pathlib import Path

    from adarts.config.cluster import Engine
    from adarts.config.loading import checked
    from adarts.sweeping import grid, run_sweep

    place: dict[str, Any] = {name: given.pop(name) for name in Engine.model_fields if name in given}
    engine = Engine(**checked(Engine, place))
    shared = {name: value for name, value in given.items() if name not in ("vary", "sweep_dir", "config_file", "train")}
    points = grid(vary, shared, config_file, engine.on != "local")
    return run_sweep(points, engine, None if sweep_dir is None else Path(sweep_dir), train)


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
    """Train the network of a genotype and test it once; ``network={"name": "resnet110"}`` trains a hand-designed network.

    Missing settings come from the configuration file, the scale, the recipe of the cells and the defaults, in this order.

    Args:
        genotype: the cells: the genotype of a search result, the folder of a search, a genotype file or its text, a name from
            the zoo, or ``random:SEED``. By default the cells of the latest search.
        data: ``digits`` (embedded, the default), ``cifar10``, ``cifar100`` or ``folder:PATH``; or a map-style torch data set of
            (image, label), a pair of arrays (images, labels), or a pair (train, test) of either (``docs/data.md``).
        scale: budget, from ``smoke`` (seconds) to ``paper``; by default ``gpu`` or ``cpu``, depending on the machine.
            ``adarts configs`` lists all.
        seed: random seed, 0 by default.
        network: width, depth, drop path and auxiliary head; or the name of a hand-designed network.
        training: epochs, batch size and other settings of the training loop.
        weights: optimizer of the weights.
        images: selection and preprocessing of the images.
        run: folder, device, threads and time limit.
        config_file: a YAML file with some or all settings, such as another run's ``config.yaml``.

    Raises:
        AdartsError: the training cannot run or was stopped; see :func:`adarts.training.run_training`.
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
    "predict": "adarts.export.predict",
    "run": "adarts.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import the functions of :data:`_LAZY` on first use, because most of them load torch."""
    if name not in _LAZY:
        raise AttributeError(f"module 'adarts' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given; None means that a setting comes from the layers below."""
    return {name: value for name, value in arguments.items() if value is not None}


def _objects(given: dict[str, Any]) -> Source | None:
    """Return images that were passed as objects, and replace them in the settings by a reference to them."""
    if isinstance(given.get("data", ""), str):
        return None
    from adarts.data import as_source

    source = as_source(given["data"])
    given["data"] = source.reference
    return source
