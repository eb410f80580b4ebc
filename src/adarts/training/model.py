"""Networks from genotypes, and trained networks on disk: safetensors for the weights, JSON for what they belong to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from adarts.data import ImageData
from adarts.errors import DataError
from adarts.seeding import derive_seed
from adarts.space import Genotype, Network, get_space, load_genotype, random_genotype

MODEL_WEIGHTS, MODEL_FACTS = "model.safetensors", "model.json"


def build(
    genotype: Genotype | str | Path,
    num_classes: int,
    channels: int = 36,
    cells: int = 20,
    in_channels: int = 3,
    auxiliary: bool = False,
    seed: int | None = None,
) -> Network:
    """The network of a genotype, with fresh weights, for images of any size.

    Args:
        genotype: the cells, or what :func:`resolve_genotype` reads.
        num_classes: classes to tell apart.
        channels: C of the first cells.
        cells: number of cells.
        in_channels: channels of the images.
        auxiliary: with the auxiliary head, which works in training only.
        seed: of the weights; none draws from torch's global random state.
    """
    found = genotype if isinstance(genotype, Genotype) else resolve_genotype(str(genotype))
    if seed is None:
        return Network(found, num_classes, channels, cells, in_channels, auxiliary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "network"))
        return Network(found, num_classes, channels, cells, in_channels, auxiliary)


def resolve_genotype(reference: str) -> Genotype:
    """A genotype from ``random:SEED``, a search run's folder, a genotype file, or the text of one (JSON or textual).

    Raises:
        DataError: there is nothing of the kind, or it is not a genotype.
    """
    if reference.startswith("random:"):
        *space, seed = reference.removeprefix("random:").split(":")
        if len(space) > 1 or not re.fullmatch("[0-9]{1,18}", seed):
            raise DataError(
                f"genotype '{reference[:60]}': after random: a seed is needed, e.g. random:0 or random:nasbench201:0"
            )
        return random_genotype(get_space(*space or ["darts"]), int(seed))
    if reference.lstrip().startswith("{"):
        return Genotype.from_json(reference)
    if re.match(r"\s*((\w+\s*=\s*)?Genotype\s*\(|\|)", reference):
        return Genotype.from_text(reference)
    path = Path(reference)
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise DataError(f"genotype '{reference[:60]}': not a file, a run, or a genotype") from error
    if is_folder:
        if not (path / "summary.json").exists():
            command = f"adarts search --config {path / 'config.yaml'} --run-dir {path}"
            raise DataError(f"{path}: this search is not finished; continue it with: {command}")
        path = path / "genotype.json"
    elif not path.exists():
        raise DataError(f"no genotype at {reference[:200]}; run `adarts search` first, or name one with --genotype")
    return load_genotype(path)


def model_files(network: Network, settings: dict[str, int], data: ImageData) -> tuple[bytes, dict[str, Any]]:
    """What is written of a trained network: its weights without the auxiliary head, and the facts to use them with.

    Args:
        network: trained.
        settings: channels and cells.
        data: what it was trained on; its classes and normalisation belong to the model.
    """
    weights: dict[str, Tensor] = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith("auxiliary_head.")
    }
    facts = {
        "format": "adarts-model",
        "version": 1,
        "genotype": network.genotype.to_dict(),
        **settings,
        "in_channels": data.in_channels,
        "image_size": list(data.image_size),
        "classes": list(data.classes),
        "mean": list(data.mean),
        "std": list(data.std),
    }
    return save(weights), facts


def load_model(folder: str | Path) -> tuple[Network, dict[str, Any]]:
    """A trained network in evaluation mode, and its facts (classes, image size, normalisation).

    Raises:
        DataError: the files are missing, damaged, or do not fit together.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / MODEL_FACTS).read_text())
        if not isinstance(facts, dict) or facts.get("format") != "adarts-model":
            raise DataError(f"{folder / MODEL_FACTS}: not the facts of an adarts model")
        network = Network(
            Genotype.from_dict(facts["genotype"]),
            len(facts["classes"]),
            facts["channels"],
            facts["cells"],
            facts["in_channels"],
        )
        network.load_state_dict(load_file(folder / MODEL_WEIGHTS))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder}: no usable trained model here: {str(error).splitlines()[0]}") from error
    return network.eval(), facts
