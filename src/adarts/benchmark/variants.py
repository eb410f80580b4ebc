"""What is compared: designs of the supernet and ways to carry out their step, as plain data that a child process can be sent."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from adarts import kernels
from adarts.config.loading import checked
from adarts.config.settings import EdgeDesign, LoopSettings, RunSettings, SearchConfig, SupernetSettings
from adarts.errors import ConfigError
from adarts.searching import search_config

NUMBERS = ("channels", "cells", "batch", "size")
KS = "1,2,4,8"
"""The values of K that the largest batches are shown for, if none are given."""
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
        supernet = {"channels": self.channels, "cells": self.cells, "recompute": self.recompute}
        return search_config(
            method=self.method,
            data="synthetic",
            edge=checked(EdgeDesign, self.edge, lambda name: option(f"edge.{name}")),
            supernet=checked(SupernetSettings, supernet, option),
            search={**checked(LoopSettings, {"batch_size": self.batch}, option), "epochs": 2, "warmup_epochs": 0},
            run=checked(RunSettings, how, option),
        )

    def on(self, device: torch.device) -> Variant:
        """The same with what becomes of it there: only a GPU captures, only a CPU in float32 has native kernels."""
        with kernels.using("torch" if self.kernels == "torch" else "auto"):
            active = kernels.active(self.precision) if device.type == "cpu" else "torch"
        return replace(self, kernels=active, capture=self.capture if device.type == "cuda" else "no")

    def facts(self, device: torch.device) -> dict[str, Any]:
        """Its fields for a record, with its K and whether the native kernels run."""
        return {**asdict(self), "k": self.k, "native": self.on(device).kernels == "native"}


def option(setting: str) -> str:
    """How the command line of a benchmark calls a setting."""
    return "--batch" if setting == "batch_size" else f"--{setting.replace('_', '-')}"


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


def for_each_k(variants: Iterable[Variant]) -> list[Variant]:
    """Each variant with all of :data:`KS`, or with the only one that it can have where all channels enter the operations."""
    spread = []
    for variant in variants:
        ks = [""] if variant.config().edge.selector == "all" else KS.split(",")
        for k in ks:
            changed = with_values(variant, {"edge.k": k}) if k else variant
            spread.append(replace(changed, label=f"{variant.label}, k {k or 1}"))
            changed.config()
    return spread


def require_differences(variants: Sequence[Variant], device: torch.device) -> None:
    """Refuse to compare what is one and the same on a device.

    Raises:
        ConfigError: two of the variants are.
    """
    bare = [replace(variant.on(device), label="") for variant in variants]
    for number, variant in enumerate(bare):
        if (first := bare.index(variant)) < number:
            raise ConfigError(
                f"'{variants[first].label}' and '{variants[number].label}' are the same here ({device.type}, "
                f"{variant.precision}): only a GPU captures updates, and only a CPU has native kernels, in float32"
            )


def with_values(variant: Variant, values: Mapping[str, str]) -> Variant:
    """The variant with other values, named as :func:`grid` names them."""
    edge = dict(variant.edge)
    fields: dict[str, object] = {}
    for name, text in values.items():
        if name.startswith("edge."):
            edge[name.removeprefix("edge.")] = text
        else:
            fields[name] = whole_number(option(name), text) if name in NUMBERS else text
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
