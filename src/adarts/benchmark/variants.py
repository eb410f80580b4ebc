"""What is compared: designs of the supernet and ways to carry out their step, as plain data that a child process can be sent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adarts.config.loading import checked, search_config
from adarts.config.settings import RunSettings, SearchConfig
from adarts.errors import ConfigError
from adarts.methods import published

NUMBERS = ("channels", "cells", "batch", "size")
VARIED = ("method", *NUMBERS, "kernels", "precision", "capture", "recompute")
"""The fields of a variant that options may list several values of, besides the edge design."""


@dataclass(frozen=True)
class Variant:
    """One search step to measure.

    Attributes:
        label: how it is called.
        method: whose edge design and updates.
        edge: what replaces the method's own edge design, by name.
        channels: C of the first cells.
        cells: number of cells.
        batch: images of each of the two updates.
        size: side of the images.
        kernels: auto or torch.
        precision: float32 or bfloat16.
        capture: whether a GPU replays whole updates.
        recompute: whether the cells are computed again in the backward pass.
    """

    label: str = ""
    method: str = "adarts"
    edge: Mapping[str, str] = field(default_factory=dict)
    channels: int = 16
    cells: int = 8
    batch: int = 32
    size: int = 32
    kernels: str = "auto"
    precision: str = "float32"
    capture: str = "yes"
    recompute: str = "no"

    @property
    def k(self) -> int:
        """One in k channels enters the operations."""
        return self.config().edge.k

    def config(self) -> SearchConfig:
        """The search whose step it is.

        Raises:
            ConfigError: a name, value or combination that cannot work.
        """
        how = {"kernels": self.kernels, "precision": self.precision, "capture": self.capture}
        config = search_config(
            published,
            method=self.method,
            data="synthetic",
            edge=dict(self.edge),
            supernet={"channels": self.channels, "cells": self.cells, "recompute": self.recompute},
            search={"batch_size": self.batch, "epochs": 2, "warmup_epochs": 0},
            run=checked(RunSettings, how, lambda name: f"--{name}"),
        )
        if self.channels % config.edge.k:
            raise ConfigError(f"k={config.edge.k} does not divide the {self.channels} channels")
        return config


def grid(options: Mapping[str, str | None]) -> list[Variant]:
    """All combinations of the values that the options list, e.g. ``{"method": "darts,adarts", "edge.k": "4"}``.

    The first of them is what the others are compared with. Its label names what differs between them.

    Args:
        options: fields of :class:`Variant`, or ``edge.`` and a name of the edge design, with values parted by commas; None
            leaves what the method has.

    Raises:
        ConfigError: values that cannot work, alone or together.
    """
    lists = {name: values_of(name, text) for name, text in options.items() if text is not None}
    variants = []
    for chosen in itertools.product(*lists.values()):
        variant = with_values(Variant(), dict(zip(lists, chosen, strict=True)))
        varied = [_words(name, value) for name, value in zip(lists, chosen, strict=True) if len(lists[name]) > 1]
        variants.append(replace(variant, label=", ".join(varied) or variant.method))
        variant.config()
    return variants


def with_values(variant: Variant, values: Mapping[str, str]) -> Variant:
    """The variant with other values, named as :func:`grid` names them."""
    edge = dict(variant.edge)
    fields: dict[str, object] = {}
    for name, text in values.items():
        if name.startswith("edge."):
            edge[name.removeprefix("edge.")] = text
        else:
            fields[name] = whole_number(f"--{name}", text) if name in NUMBERS else text
    return replace(variant, edge=edge, **fields)  # type: ignore[arg-type]


def values_of(name: str, text: str) -> list[str]:
    """The values between the commas, each once.

    Raises:
        ConfigError: one is empty.
    """
    values = [value.strip() for value in text.split(",")]
    if not all(values):
        raise ConfigError(f"--{name}: an empty value in '{text[:60]}'")
    return list(dict.fromkeys(values))


def whole_number(name: str, text: str, least: int = 1) -> int:
    """A number from the command line.

    Raises:
        ConfigError: it is none, or too small.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise ConfigError(f"{name}: a whole number of at least {least} is needed, not '{text[:60]}'")
    return int(text)


def _words(name: str, value: str) -> str:
    return value if name == "method" else f"{name.removeprefix('edge.')} {value}"
