"""The networks that are trained beside that of the found cells; the best of all is delivered."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from adarts.data import ImageData
from adarts.models import count_parameters
from adarts.models.limits import Limits
from adarts.pipeline.plan import SearchPlan
from adarts.spaces import Genotype
from adarts.training.model import resolve_genotype
from adarts.zoo.baselines import TIMM
from adarts.zoo.create import create_model

SMALL = "timm:mobilenetv3_small_100", "timm:mobilenetv3_small_050"
"""Small networks of timm, the larger one first."""
BEST: str = SearchPlan.model_fields["published"].default
"""The published cells with the best estimate."""


def start_of(rival: str) -> tuple[str, str | None]:
    """The network of a rival without the file of weights that it starts from, and this file, if any."""
    name, _, file = rival.partition("@") if rival.startswith(TIMM) else (rival, "", "")
    return name, file or None


def choose_rivals(
    images: ImageData, limits: Limits, seed: int, pretrained: str | None, reasons: dict[str, str]
) -> tuple[str, ...]:
    """Choose the networks that are trained beside that of the found cells, and add the reason to the others.

    Args:
        images: the images.
        limits: the limits on the delivered network.
        seed: seed of the run.
        pretrained: a file of weights, or timm:NAME@FILE; the network of timm is compared with and without them.
        reasons: reasons by setting.

    Raises:
        ConfigError: timm is not installed, or has no such network.
        DataError: the file of weights cannot be read, or belongs to another network.
    """
    rivals = f"random:darts:{seed}", BEST
    reason = "random cells and the published cells with the best estimate, as large as the network of the found cells"
    if find_spec("timm") is None and pretrained is None:
        reasons["rivals"] = f"{reason}; timm is not installed"
        return rivals
    name, file = start_of(pretrained or "")
    if file is None:
        file = pretrained
        for name in SMALL:
            with torch.device("meta"):
                size = count_parameters(create_model(name, images.num_classes, in_channels=images.in_channels))
            if limits.parameters is None or size <= limits.parameters:
                break
        else:
            reason += f"; no small network of timm meets the limit, so its {size:,} parameters are too many"
    if file is None:
        reasons["rivals"] = f"{reason}; a small network of timm"
        return (*rivals, name)
    create_model(name, images.num_classes, in_channels=images.in_channels, pretrained=file)
    reasons["rivals"] = f"{reason}; a network of timm with new weights, and fine-tuned"
    return (*rivals, name, f"{name}@{file}")


def rival_cells(name: str, images: ImageData) -> Genotype | None:
    """The cells of another network; None for a network of timm.

    Raises:
        ConfigError, DataError: there is none of this name, or its file of weights belongs to another network.
    """
    if not name.startswith(TIMM):
        return resolve_genotype(name)
    network, file = start_of(name)
    with torch.device("meta" if file is None else "cpu"):
        create_model(network, images.num_classes, in_channels=images.in_channels, pretrained=file)
    return None
