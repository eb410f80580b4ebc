"""Create networks of the zoo by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adarts.errors import ConfigError, DataError, nearest
from adarts.models import Network, baselines, cost
from adarts.models.stem import stride_for
from adarts.seeding import fresh_weights
from adarts.spaces import Genotype
from adarts.zoo.baselines import TIMM
from adarts.zoo.catalog import CELLS, CHANNELS, record
from adarts.zoo.records import Entry

SMALLEST_DESIGNED = 16
"""Smallest side of an image for hand-designed networks; some of them would reduce smaller images to nothing."""


def create_model(
    name: str,
    num_classes: int = 10,
    channels: int | None = None,
    cells: int | None = None,
    in_channels: int = 3,
    image_size: int | tuple[int, int] = 32,
    auxiliary: bool = False,
    seed: int | None = None,
    pretrained: str | Path | None = None,
) -> nn.Module:
    """Create a network of the zoo with new weights.

    Args:
        name: published cells, by their name here or in their source, or a hand-designed network; case does not matter. `adarts
            zoo` lists them. Or a network of timm, as ``timm:mobilenetv3_small_050``.
        num_classes: number of classes.
        channels: channels C of the first cells, 36 if not given. Hand-designed networks have their own widths.
        cells: number of cells, 20 if not given.
        in_channels: channels of the images.
        image_size: (height, width), or the side of a square. Networks of cells for more than 64 pixels have a strided stem
            (:func:`adarts.models.stem.stride_for`); apart from that, a network takes images of any size.
        auxiliary: add the auxiliary head, which is used only in training.
        seed: seed of the weights; None uses torch's global random state.
        pretrained: a file of weights for a network of timm; its classifier has new weights all the same.

    Raises:
        ConfigError: the network is unknown, cannot have this size, or belongs to timm, which is not installed.
        DataError: `pretrained` cannot be read, or belongs to another network.
    """
    sides = tuple(image_size) if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(sides) != 2 or not all(isinstance(side, Integral) for side in sides):
        raise ConfigError(
            f"image_size must be (height, width) or one side, in whole pixels, not {repr(image_size)[:60]}"
        )
    own_sizes = channels is not None or cells is not None or auxiliary
    if name.startswith(TIMM):
        if own_sizes:
            raise ConfigError(f"{name} is a network of timm, without cells of this package and without auxiliary head")
        with fresh_weights(seed):
            return _of_timm(name.removeprefix(TIMM), num_classes, in_channels, pretrained)
    if pretrained is not None:
        raise ConfigError(f"only networks of timm start from a file of weights, not {name[:60]}")
    found = record(name)
    smallest = 1 if isinstance(found, Entry) else SMALLEST_DESIGNED
    if min(sides) < smallest:
        raise ConfigError(
            f"{found.name} needs images of at least {smallest}x{smallest} pixels, not {sides[0]}x{sides[1]}"
        )
    with fresh_weights(seed):
        if isinstance(found, Entry):
            sizes = (CHANNELS if channels is None else channels, CELLS if cells is None else cells)
            return Network(
                found.genotype, num_classes, *sizes, in_channels, auxiliary, stride_for((sides[0], sides[1]))
            )
        if own_sizes:
            raise ConfigError(
                f"{found.name} is designed by hand: it has its own widths and depth, no cells and no auxiliary head"
            )
        return baselines.build(found.name, num_classes, in_channels)


def _of_timm(name: str, num_classes: int, in_channels: int, pretrained: str | Path | None) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise ConfigError(f"{TIMM}{name[:60]} needs timm: pip install 'adarts[timm]'") from None
    known = timm.list_models()
    if name not in known:  # other names would read folders, or weights from the network
        raise ConfigError(f"timm has no network '{name[:60]}'{nearest(name[:60], known)}")
    create = partial(timm.create_model, name, num_classes=num_classes, in_chans=in_channels)
    if pretrained is None:
        network: nn.Module = create()
        return network
    if not Path(pretrained).is_file():
        raise DataError(f"no file {pretrained}")
    try:
        return _from_file(create, Path(pretrained))
    except Exception as error:  # timm and torch have many ways to refuse a file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DataError(f"{pretrained}: not weights of timm's {name}: {reason}") from error


def _from_file(create: Callable[..., nn.Module], file: Path) -> nn.Module:
    """A network of timm whose weights are those of a file, apart from the classifier. A file never executes code."""
    from timm.models import load_state_dict

    with torch.random.fork_rng(devices=[]):
        new = create()
    weights = load_state_dict(str(file), weights_only=True)
    if not weights:  # timm would download others
        raise ValueError("it is empty")
    network: Any = create(pretrained=True, pretrained_cfg_overlay={"state_dict": weights})
    network.pretrained_cfg.pop("state_dict", None)
    heads = network.pretrained_cfg["classifier"]
    heads = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads or ()))
    # Both networks began with the same random numbers, so what the file does not have is still equal.
    for (name, own), begun in zip(network.named_parameters(), new.parameters(), strict=True):
        if name.startswith(heads):
            own.data.copy_(begun.data)  # timm keeps the file's classifier if the number of classes is that of the file
        elif own.dim() > 1 and torch.equal(own, begun):
            raise ValueError(f"it has no {name}")
    return network  # type: ignore[no-any-return]


def count(
    network: str | Genotype,
    num_classes: int = 10,
    channels: int | None = None,
    cells: int | None = None,
    image_size: int = 32,
) -> tuple[int, int]:
    """Count a network's parameters and multiply-accumulate operations per image on the meta device.

    Args:
        network: a name as for :func:`create_model`, or a genotype.
        num_classes: number of classes.
        channels: channels C of the first cells.
        cells: number of cells.
        image_size: side of the images in pixels.

    Raises:
        ConfigError: the network is unknown, or cannot have this size.
    """
    with torch.device("meta"):
        if isinstance(network, Genotype):
            sizes = channels or CHANNELS, cells or CELLS
            stride = stride_for((image_size, image_size))
            model: nn.Module = Network(network, num_classes, *sizes, stem_stride=stride)
        else:
            model = create_model(network, num_classes, channels, cells, image_size=image_size)
    size = cost(model, image_size)
    return size.parameters, size.macs
