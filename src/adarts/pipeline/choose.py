"""Choose a plan from the images, the machine, the limits and the time; a few real steps tell how fast the machine is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from adarts.config.settings import RunSettings
from adarts.data import ImageData, Images, hold_out
from adarts.data.load import settings_of
from adarts.engine import prepare_device
from adarts.engine.forecast import seconds_per_step
from adarts.errors import ConfigError
from adarts.methods import create
from adarts.models.limits import Limits, Shape, widest
from adarts.models.stem import stride_for
from adarts.pipeline.plan import NetworkPlan, Plan, SearchPlan, TimmPlan, TrainingPlan, Wishes
from adarts.pipeline.rivals import BEST, choose_rivals
from adarts.searching import SearchTask, search_config
from adarts.spaces import DARTS, CellGenotype, Genotype
from adarts.training import train_config
from adarts.training.model import network_of, resolve_genotype
from adarts.training.task import TrainTask
from adarts.zoo.baselines import TIMM

CELLS, WIDTH = 5, 16
"""Cells of a network, and channels of its first cells if no limit asks for fewer."""
SIZES = 16, 32, 48, 64, 96, 128, 192, 256
"""Sides of images that are tried, besides the size that the images have."""
FEWEST_EPOCHS, MOST_EPOCHS = 15, 100
"""With fewer epochs, smaller images or a narrower network are taken; more are not trained."""
SEARCH, TRAININGS = 0.3, 0.55
"""Shares of the time for the search and for all trainings; the rest is for reading, measuring, exporting."""
FEWEST_TRIALS, MOST_TRIALS = 20, 200
"""Cells that are tried in a search."""
STEPS: int = SearchPlan.model_fields["steps"].default
"""Steps of a trial."""
SMALLEST, FEWEST_IMAGES = 8, 8
"""Smallest side of the images, and fewest images to train on."""
UNEQUAL = 3
"""The loss is balanced if the largest class has this many times as many images as the smallest."""
TIMM_SIZE, TIMM_BYTES = 128, 2**30
"""Networks of timm get images of at least this side, if all images of this side take at most so many bytes."""
FEWEST_HELD_OUT, MOST_HELD_OUT, LARGEST_SHARE = 500, 2000, 0.2
"""Images that choose the network to deliver: a tenth, from the first to the second number, but at most this share, rounded
class by class, and at least one of a class with several."""
FINE_TUNING = 0.1
"""Learning rate of a network with pretrained weights, as a share of that of new ones: larger steps would destroy them."""


@dataclass(frozen=True)
class Choice:
    """A plan, and the reasons of its settings by dotted name."""

    plan: Plan
    reasons: Mapping[str, str]


def choose(source: str, images: ImageData, wishes: Wishes, seconds: float, run: RunSettings | None = None) -> Choice:
    """Choose a plan.

    Args:
        source: the images by name, as in a configuration.
        images: the images, in the size that they have without further settings.
        wishes: what the plan must respect.
        seconds: time for everything.
        run: device and threads.

    Raises:
        ConfigError: no network meets the limits, or the images are too small or too few.
        DataError: the file of weights cannot be read, or belongs to another network.
    """
    run, number, seed = run or RunSettings(), len(images.train), wishes.seed or 0
    limits = wishes.limits.limits()
    if max(images.image_size) < SMALLEST or number < FEWEST_IMAGES:
        raise ConfigError(
            f"{source} has {number:,} training images of {max(images.image_size)} pixels; "
            f"a run needs at least {FEWEST_IMAGES} of at least {SMALLEST}"
        )
    prepare_device(run)
    reasons: dict[str, str] = {}
    if images.left_out:
        reasons["max_broken"] = f"{len(images.left_out)} cannot be read and are left out"
    rivals = choose_rivals(images, limits, seed, wishes.pretrained, reasons) if wishes.compare else ()
    if not wishes.compare:
        reasons["rivals"] = "no comparison was asked for"
    share = TRAININGS * seconds / (1 + len(rivals))
    batch = (
        64 if number >= 1280 else 32 if number >= 320 else 16 if number >= 64 else number // 4
    )  # a search splits them
    reasons["training.batch_size"] = f"{number:,} training images"
    held_out, looked_at = _held_out(images, seed, reasons) if rivals else (0.0, 0)
    # A step learns from an image and takes three times as long as looking at one.
    steps = round((number - looked_at + looked_at / 3) / batch)
    size, channels, cells, epochs = _network(source, images, limits, share, batch, steps, run, reasons)
    search = _search(source, images, SEARCH * seconds, size, batch, run, reasons)
    counts = torch.bincount(images.train.labels, minlength=images.num_classes)
    unequal = int(counts.max()) >= UNEQUAL * max(1, int(counts.min()))
    reasons["training.class_weights"] = f"classes have {int(counts.min()):,} to {int(counts.max()):,} training images"
    reasons["training.learning_rate"] = "proportional to the batch, 0.08 for 64 images"
    training = TrainingPlan(
        epochs=epochs,
        batch_size=batch,
        learning_rate=0.08 * batch / 64,
        class_weights="balanced" if unequal else "equal",
        held_out=held_out,
    )
    if not search.trials and BEST in rivals:
        rivals = tuple(name for name in rivals if name != BEST)
        reasons["rivals"] += f"; the cells {BEST} are those of the first network without a search"
    macs = _macs_in_time(shape_of(images, size), channels, cells) if epochs < MOST_EPOCHS else None
    reasons["network.macs"] = (
        f"those of the cells {BEST} of this width, whose steps were timed" if macs else "the time does not matter"
    )
    network = NetworkPlan(cells=cells, channels=channels, macs=macs)
    timm = TimmPlan(size=_timm_size(images))
    reasons["timm.size"] = "its networks halve the image five times, so small images are enlarged"
    plan = Plan(
        data=source,
        max_broken=wishes.max_broken or 0,
        seed=seed,
        size=size,
        flip=_flip(source, wishes, reasons),
        limits=wishes.limits,
        search=search,
        network=network,
        training=training,
        timm=timm,
        rivals=rivals,
    )
    return Choice(plan, reasons)


def _held_out(images: ImageData, seed: int, reasons: dict[str, str]) -> tuple[float, int]:
    """The share of the training images that chooses among the networks, and the number of images that this takes."""
    number = len(images.train)
    wanted = min(max(FEWEST_HELD_OUT, number // 10), MOST_HELD_OUT)
    share = round(min(wanted / number, LARGEST_SHARE), 3)
    taken = len(hold_out(images.train, share, seed)[1])
    if not taken:
        reasons["training.held_out"] = "each class has a single training image, so the first network is delivered"
        return 0.0, 0
    reasons["training.held_out"] = (
        f"{taken:,} of {number:,} images choose the network to deliver; the difference of two accuracies has a standard "
        f"error of at most {100 * math.sqrt(0.5 / taken):.0f} points"
    )
    return share, taken


def _flip(source: str, wishes: Wishes, reasons: dict[str, str]) -> bool:
    if wishes.flip is not None:
        reasons["flip"] = "as asked for"
        return wishes.flip
    reasons["flip"] = "whether mirrored images are of the same class; turn it off for digits, letters and many signs"
    return bool(settings_of(source)["images"].get("flip", True))


def shape_of(images: ImageData, size: int) -> Shape:
    """What the images demand of a network at this size."""
    return Shape(images.num_classes, images.in_channels, (size, size), stride_for((size, size)))


def training_settings(
    plan: Plan, run: RunSettings, network: Mapping[str, Any], genotype: str | None, epochs: int
) -> dict[str, Any]:
    """The settings of a training of the plan.

    Args:
        plan: the plan.
        run: device, threads and folder.
        network: settings of the network: `channels` for cells, else `name`, and `pretrained` if it is fine-tuned.
        genotype: the cells, or None.
        epochs: the epochs.
    """
    of_cells = {"cells": plan.network.cells, "drop_path": 0.0, "auxiliary_weight": 0.0}
    training = plan.training
    from_timm = genotype is None and str(network["name"]).startswith(TIMM)
    size = plan.timm.size if from_timm else plan.size
    rate = plan.timm.learning_rate if from_timm else training.learning_rate
    return {
        "data": plan.data,
        "scale": "cpu",
        "seed": plan.seed,
        "network": dict(network) if genotype is None else {**of_cells, **network},
        **({} if genotype is None else {"genotype": genotype}),
        "images": {
            "size": size,
            "max_broken": plan.max_broken,
            "per_class": None,
            "flip": plan.flip,
            "crop_padding": max(1, size // 16),
        },
        "weights": {"learning_rate": rate * (FINE_TUNING if "pretrained" in network else 1)},
        "training": {
            "epochs": epochs,
            "steps": None,
            "batch_size": training.batch_size,
            "learning_rate_warmup": min(1.0, 0.1 * epochs),
            "class_weights": training.class_weights,
            "validation_fraction": training.held_out,
        },
        "run": run,
    }


def search_settings(plan: Plan, run: RunSettings, max_macs: int | None) -> dict[str, Any]:
    """The settings of the search of the plan. It looks at the sizes of networks within the limits.

    Args:
        plan: the plan.
        run: device, threads and folder.
        max_macs: the limit on MACs, also for a limit on the latency.
    """
    trials, network = plan.search.trials, plan.network
    epochs = max(1, min(10, trials // 2))
    limits = {"max_params": plan.limits.max_params, "max_macs": max_macs}
    return {
        "data": plan.data,
        "scale": "cpu",
        "method": "trials",
        "seed": plan.seed,
        "search": {
            "epochs": epochs,
            "steps": plan.search.steps * -(-trials // epochs),
            "batch_size": plan.training.batch_size,
        },
        "images": {"size": plan.search.size, "max_broken": plan.max_broken, "per_class": None, "flip": plan.flip},
        "options": {
            "steps": plan.search.steps,
            "drawn": max(2, min(50, trials // 3)),
            "known": resolve_genotype(plan.search.published).to_text(),
            "channels": network.channels,
            "cells": network.cells,
            "image_size": plan.size,
            **{name: limit for name, limit in limits.items() if limit is not None},
        },
        "run": run,
    }


def _macs_in_time(shape: Shape, channels: int, cells: int) -> int:
    """The MACs of the network whose steps were timed, or what the narrowest network of any cells needs."""
    return max(shape.cost(resolve_genotype(BEST), channels, cells).macs, shape.cost(heaviest(), 2, cells).macs)


def _timm_size(images: ImageData) -> int:
    """The size of the images themselves, but at least `TIMM_SIZE` as far as memory allows."""
    native = max(images.image_size)
    per_pixel = images.in_channels * (len(images.train) + len(images.test))
    size = max(native, TIMM_SIZE)
    while size > native and per_pixel * size**2 > TIMM_BYTES:
        size = max(native, size // 2)
    return size


def heaviest() -> Genotype:
    """The cells of the DARTS space with the most parameters and MACs."""
    nodes = tuple((("sep_conv_5x5", 0), ("sep_conv_5x5", 1)) for _ in DARTS.targets)
    cells = {kind: CellGenotype(nodes, DARTS.outputs) for kind in DARTS.cell_kinds}
    return Genotype(cells, DARTS.name)


def _network(
    source: str,
    images: ImageData,
    limits: Limits,
    share: float,
    batch: int,
    steps: int,
    run: RunSettings,
    reasons: dict[str, str],
) -> tuple[int, int, int, int]:
    """The size of the images, and channels, cells and epochs of the network."""
    native = max(images.image_size)
    sizes = sorted({native, *(size for size in SIZES if size < native)}, reverse=True)
    counted = Limits(limits.parameters, limits.macs)
    usual = resolve_genotype(BEST)
    refusal: ConfigError | None = None
    tried: list[str] = []
    for size in sizes:
        shape = shape_of(images, size)
        try:
            cells = _fitting(shape, counted)
        except ConfigError as error:  # smaller images need fewer MACs
            refusal = error
            continue
        first = channels = widest(usual, cells, shape, counted, most=WIDTH)
        seconds = _probe(source, images, size, channels, cells, batch, run)
        epochs = int(share / (seconds * steps))
        tried.append(f"{size} pixels: {1000 * seconds:.0f} ms a step, {epochs} epochs")
        if epochs >= FEWEST_EPOCHS or size == sizes[-1]:
            break
    else:
        assert refusal is not None
        raise refusal
    while epochs < FEWEST_EPOCHS and channels > 4:
        channels -= 2
        epochs = int(share / (_probe(source, images, size, channels, cells, batch, run) * steps))
    few = f"; fewer than {FEWEST_EPOCHS}, give more time" if epochs < FEWEST_EPOCHS else ""
    reasons["size"] = f"the images have {native} pixels; " + "; ".join(tried)
    reasons["network.cells"] = "two of them halve the image" + (
        "" if cells == CELLS else "; more do not meet the limits"
    )
    reasons["network.channels"] = (
        "the usual width; the limits may ask for fewer" if channels == first else "the time is short"
    )
    reasons["training.epochs"] = (
        f"what fits into {_minutes(share)}, the equal share of each training in {TRAININGS:.0%} of the time; "
        f"{MOST_EPOCHS} at most{few}"
    )
    return size, WIDTH if channels == first else channels, cells, max(1, min(MOST_EPOCHS, epochs))


def _fitting(shape: Shape, limits: Limits) -> int:
    """The number of cells at which any cells of the space have a width that meets the limits on parameters and MACs."""
    for cells in range(CELLS, 2, -1):
        try:
            widest(heaviest(), cells, shape, limits, most=2)
            return cells
        except ConfigError as error:
            refusal = error
    raise refusal


def _probe(source: str, images: ImageData, size: int, channels: int, cells: int, batch: int, run: RunSettings) -> float:
    """Seconds of a training step with published cells, measured on made-up images of this shape."""
    drafted = Plan(
        data=source,
        size=size,
        search=SearchPlan(trials=0, size=size),
        network=NetworkPlan(cells=cells, channels=channels),
        training=TrainingPlan(epochs=2, batch_size=batch, learning_rate=0.05, class_weights="equal"),
        rivals=(),
    )
    settings = training_settings(drafted, run, {"channels": channels}, BEST, epochs=2)
    return probe(settings, made_up(images, size, batch), run)


def probe(settings: Mapping[str, Any], images: ImageData, run: RunSettings) -> float:
    """Seconds of a training step with these settings, on these images."""
    device = prepare_device(run)
    config = train_config(**settings)
    cells = None if config.network.name else resolve_genotype(str(config.genotype))
    network = network_of(config.network, cells, images, config.seed)
    return seconds_per_step(TrainTask(config, images, network.to(device), device), device, timed=3)


def made_up(images: ImageData, size: int, batch: int) -> ImageData:
    """Gray images of another size, two batches of them with the same classes, to measure the time of steps."""
    number = max(2 * batch, 2 * images.num_classes)
    pixels = torch.full((number, images.in_channels, size, size), 128, dtype=torch.uint8)
    part = Images(pixels, torch.arange(number) % images.num_classes)
    return ImageData(images.name, images.classes, part, part, images.mean, images.std)


def _search(
    source: str, images: ImageData, seconds: float, size: int, batch: int, run: RunSettings, reasons: dict[str, str]
) -> SearchPlan:
    device = prepare_device(run)
    found: list[str] = []
    for side in (32, 16):
        if side > size and side != 16:
            continue
        side = min(side, size)
        config = search_config(
            data=source,
            scale="cpu",
            method="trials",
            images={"size": side, "per_class": None},
            search={"epochs": 1, "steps": STEPS, "batch_size": batch},
            run=run,
        )
        task = SearchTask(config, made_up(images, side, 2 * batch), create(config), device)
        trials = int(seconds / (STEPS * seconds_per_step(task, device, timed=5)))
        found.append(f"{trials} at {side} pixels")
        if trials >= 2 * FEWEST_TRIALS or side <= 16:
            break
    reasons["search.trials"] = (
        f"cells that can be tried in {_minutes(seconds)}: {', '.join(found)}; fewer than {FEWEST_TRIALS} are not worth a search"
    )
    return SearchPlan(trials=min(trials, MOST_TRIALS) if trials >= FEWEST_TRIALS else 0, size=side)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"
