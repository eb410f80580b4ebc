"""Build networks, and save and load trained ones: weights as safetensors, facts as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from adarts import zoo
from adarts.config.settings import NetworkSettings, TrainConfig
from adarts.data import Augmentation, ImageData
from adarts.data.decode import Unreadable, decode
from adarts.engine import FRONT_FILE, GENOTYPE_FILE
from adarts.errors import ConfigError, DataError, refusing
from adarts.models import Network
from adarts.models.stem import stride_for
from adarts.seeding import fresh_weights
from adarts.spaces import Genotype, get_space, load_genotype, random_genotype
from adarts.zoo.baselines import BASELINES, title_of
from adarts.zoo.create import create_model

MODEL_WEIGHTS, MODEL_FACTS = "model.safetensors", "model.json"
"""Files of a trained network, together with :data:`~adarts.engine.GENOTYPE_FILE` for the cells."""


MOST_CELLS = 1000
"""Cells of the deepest network that is read from a file."""


def build(
    genotype: Genotype | str | Path,
    num_classes: int,
    channels: int = 36,
    cells: int = 20,
    in_channels: int = 3,
    auxiliary: bool = False,
    seed: int | None = None,
    stem_stride: int = 1,
) -> Network:
    """Build the network of a genotype with new weights, for images of any size.

    Args:
        genotype: the cells, or a reference that :func:`resolve_genotype` accepts.
        num_classes: number of classes.
        channels: channels C of the first cells.
        cells: number of cells.
        in_channels: channels of the images.
        auxiliary: add the auxiliary head, which is used only in training.
        seed: seed of the weights; None uses torch's global random state.
        stem_stride: 1, or for large images 2, 4 or 8, so that the cells read a smaller image.
    """
    found = genotype if isinstance(genotype, Genotype) else resolve_genotype(str(genotype))
    with fresh_weights(seed):
        return Network(found, num_classes, channels, cells, in_channels, auxiliary, stem_stride)


def network_of(settings: NetworkSettings, genotype: Genotype | None, data: ImageData, seed: int) -> nn.Module:
    """Build the network of a training for its images: from the genotype, or the hand-designed one in the settings."""
    if settings.name is not None:
        title_of(settings.name)  # refuses names of published cells
        return create_model(
            settings.name,
            data.num_classes,
            in_channels=data.in_channels,
            image_size=data.image_size,
            seed=seed,
            pretrained=settings.pretrained,
        )
    # The rules of the settings guarantee this.
    assert genotype is not None and settings.channels is not None and settings.cells is not None
    auxiliary = settings.auxiliary_weight > 0
    stride = settings.stem_stride or stride_for(data.image_size)
    sizes = data.num_classes, settings.channels, settings.cells, data.in_channels
    return build(genotype, *sizes, auxiliary, seed, stride)


def resolve_genotype(reference: str) -> Genotype:
    """Read a genotype from ``random:SEED``, a search run's folder, a genotype file, its text, or a name in the zoo.

    ``RUN:NUMBER`` is one of the cells in the front of a search for several goals; 0 is the smallest.

    Raises:
        DataError: the reference is unknown, or not a genotype.
    """
    if not reference.strip():
        raise DataError(
            "the genotype is empty; give a search run's folder, a genotype file, a name from `adarts zoo`, or random:SEED"
        )
    if reference.startswith("random:"):
        *space, seed = reference.removeprefix("random:").split(":")
        if len(space) > 1 or not re.fullmatch("[0-9]{1,18}", seed):
            raise DataError(f"genotype '{reference[:60]}': random: needs a seed, e.g. random:0 or random:nasbench201:0")
        return random_genotype(get_space(*space or ["darts"]), int(seed))
    if reference.lstrip().startswith("{"):
        return Genotype.from_json(reference)
    if re.match(r"\s*((\w+\s*=\s*)?(\w+\.)*Genotype\s*\(|\|)", reference):
        return Genotype.from_text(reference)
    path = Path(reference)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:  # not a valid file name
        raise DataError(f"genotype '{reference[:60]}': not a file, a run, or a genotype") from error
    if is_folder:
        if (path / GENOTYPE_FILE).exists():
            return load_genotype(path / GENOTYPE_FILE)
        if not (path / "config.yaml").exists():
            raise DataError(f"{path}: not a run folder; it contains neither genotype.json nor config.yaml")
        command = f"adarts search --config {path / 'config.yaml'} --run-dir {path}"
        raise DataError(f"{path}: this search is not finished; continue it with: {command}")
    folder, _, number = reference.rpartition(":")
    if not exists and re.fullmatch("[0-9]{1,6}", number) and (Path(folder) / "config.yaml").exists():
        return _of_front(Path(folder), int(number))
    return load_genotype(path) if exists else _published(reference)


def _of_front(run: Path, number: int) -> Genotype:
    """One of the cells in the front of a search."""
    path = run / FRONT_FILE
    if not path.exists():
        raise DataError(f"{run} has no {FRONT_FILE}: its method has one goal, or it is not finished")
    with refusing(f"{path} is damaged", DataError):
        cells = [entry["genotype"] for entry in json.loads(path.read_bytes())["cells"]]
    if number >= len(cells):
        raise DataError(f"{path} has {len(cells)} cells, with the numbers 0 to {len(cells) - 1}")
    return Genotype.from_dict(cells[number])


def source_of(config: TrainConfig) -> str:
    """Short text about the origin of a training's cells, for logs and reports."""
    reference = str(config.genotype)
    return reference if len(reference) <= 100 and "\n" not in reference else "given as text"


def _published(name: str) -> Genotype:
    entry = zoo.find(name)
    if entry is not None:
        return entry.genotype
    close = zoo.nearest_names(name)
    if close and close[0] in BASELINES:
        raise DataError(f"'{name[:60]}' is not a genotype; train a hand-designed network with --network {close[0]}")
    what = (
        f"did you mean {' or '.join(map(repr, close))}?"
        if close
        else "run `adarts search` first, or choose one with --genotype"
    )
    raise DataError(f"no genotype at {name[:200]}; {what}")


def model_files(network: nn.Module, settings: NetworkSettings, data: ImageData) -> tuple[bytes, dict[str, Any]]:
    """The files of a trained network: its weights without the auxiliary head, and the facts needed to use them."""
    weights: dict[str, Tensor] = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith("auxiliary_head.")
    }
    stride = settings.stem_stride or stride_for(data.image_size)
    cells = {"channels": settings.channels, "cells": settings.cells, "stem_stride": stride}
    facts = {
        "format": "adarts-model",
        "version": 1,
        **(cells if isinstance(network, Network) else {"network": settings.name}),
        "in_channels": data.in_channels,
        "image_size": list(data.image_size),
        "classes": list(data.classes),
        "mean": list(data.mean),
        "std": list(data.std),
    }
    return save(weights), facts


def read_facts(folder: str | Path) -> dict[str, Any]:
    """The facts of a trained network: sizes, classes, image size, normalization.

    Raises:
        DataError: the file is missing, or holds something else.
    """
    path = Path(folder) / MODEL_FACTS
    with refusing(f"{folder}: no usable trained model", DataError):
        facts = json.loads(path.read_text())
    if not isinstance(facts, dict) or facts.get("format") != "adarts-model":
        raise DataError(f"{path}: not the description of an adarts model")
    return facts


def load_model(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a trained network in evaluation mode, and its facts (classes, image size, normalization).

    Raises:
        DataError: the files are missing, damaged, or do not fit together.
    """
    folder, facts = Path(folder), read_facts(folder)
    with refusing(f"{folder}: no usable trained model", DataError):
        genotype = None if "network" in facts else load_genotype(folder / GENOTYPE_FILE)
        return trained_network(facts, genotype, load_file(folder / MODEL_WEIGHTS)), facts


def trained_network(facts: Mapping[str, Any], genotype: Genotype | None, weights: Mapping[str, Tensor]) -> nn.Module:
    """Build a trained network in evaluation mode. With cells it takes no more memory than its weights, whatever the facts say.

    Args:
        facts: content of ``model.json``.
        genotype: the cells; None for a network that has a name.
        weights: its weights, which stay as they are.

    Raises:
        Exception: of any class but ConfigError, if the facts are damaged or do not fit the weights.
    """
    if genotype is not None and facts["cells"] > MOST_CELLS:
        raise ValueError(f"a network of {facts['cells']} cells; at most {MOST_CELLS} are read")
    try:
        with nullcontext() if genotype is None else torch.device("meta"):
            network = network_from(facts, genotype)
    except ConfigError as error:  # of a name or a size in a file, which nobody configured
        raise ValueError(str(error)) from error
    network.load_state_dict({name: tensor.clone() for name, tensor in weights.items()}, assign=True)
    return network.float().eval()


def network_from(facts: Mapping[str, Any], genotype: Genotype | None) -> nn.Module:
    """Build a network with new weights from the facts of a trained one.

    Args:
        facts: content of ``model.json``.
        genotype: the cells; None for a network that has a name.

    Raises:
        KeyError, TypeError, ConfigError: the facts are damaged.
    """
    shape = len(facts["classes"]), facts["in_channels"]
    if genotype is None:
        return create_model(facts["network"], shape[0], in_channels=shape[1], image_size=facts["image_size"])
    sizes = facts["channels"], facts["cells"], shape[1]
    return Network(genotype, shape[0], *sizes, stem_stride=facts["stem_stride"])


def prepare(photo: str | Path, facts: Mapping[str, Any]) -> Tensor:
    """One image file as the input of a trained network, (1, c, h, w): cut, scaled and normalized as the images of a folder are.

    The arithmetic is the same as in training, to the last bit.

    Args:
        photo: the file.
        facts: what :func:`load_model` says of the network.

    Raises:
        DataError: the file cannot be read as an image.
    """
    height, width = facts["image_size"]
    try:
        pixels_hwc = decode(Path(photo), (height, width), facts["in_channels"])
    except (Unreadable, OSError) as error:
        raise DataError(f"{photo}: {error}") from error
    pixels_bchw = torch.from_numpy(pixels_hwc.copy()).permute(2, 0, 1)[None]
    plain = Augmentation(tuple(facts["mean"]), tuple(facts["std"]))
    return plain(pixels_bchw, torch.zeros(1, Augmentation.NUM_DRAWS, dtype=torch.int64))
