"""The plan of a run: every choice as a setting, with its reason as a comment, in a file that can be edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from adarts.config.loading import checked, validated
from adarts.config.reading import read_yaml
from adarts.config.settings import Settings
from adarts.errors import ConfigError
from adarts.models.limits import Limits

FORMAT = 1
FOUND = "found cells"
"""The name of the network of the found cells; others have their names in the plan."""


class LimitSettings(Settings):
    """Limits on the delivered network; none sets no limit."""

    max_params: PositiveInt | None = None
    """Largest number of parameters."""
    max_macs: PositiveInt | None = None
    """Most multiply-accumulate operations per image."""
    max_latency: PositiveFloat | None = None
    """Longest time for one image, in milliseconds, with onnxruntime and one thread on this machine."""

    def limits(self) -> Limits:
        """The limits in the form of :mod:`adarts.models.limits`."""
        return Limits(self.max_params, self.max_macs, self.max_latency)


class SearchPlan(Settings):
    """The search for cells."""

    trials: NonNegativeInt
    """Cells that are tried; 0 searches nothing and takes the cells `published`."""
    steps: PositiveInt = 40
    """Steps of a trial."""
    size: PositiveInt
    """Side of the images in the search, in pixels."""
    published: str = "PC_DARTS_cifar"
    """Published cells that are tried first, and taken if nothing is searched; `adarts zoo` lists them."""


class NetworkPlan(Settings):
    """The networks of cells."""

    cells: int = Field(ge=3)
    """Number of cells."""
    channels: int = Field(ge=2, le=256, multiple_of=2)
    """Largest number of channels of the first cells, even; the limits may ask for fewer."""
    macs: PositiveInt | None = None
    """Most multiply-accumulate operations per image that the time allows; none sets no limit."""


class TrainingPlan(Settings):
    """The trainings."""

    epochs: PositiveInt
    """Epochs of the network of the found cells; networks with other speeds get those that take as long."""
    batch_size: int = Field(ge=2)
    """Images per update."""
    learning_rate: PositiveFloat
    """Learning rate after the warm-up."""
    class_weights: Literal["equal", "balanced"]
    """equal: all images weigh the same in the loss; balanced: all classes do."""
    held_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training images that is not learned from, but chooses the network to deliver; 0 delivers the first one."""


class TimmPlan(Settings):
    """The training of a network of timm."""

    size: PositiveInt = 128
    """Side of its images in pixels."""
    learning_rate: PositiveFloat = 0.001
    """Learning rate of AdamW after the warm-up."""


class Plan(Settings):
    """What `adarts run` does."""

    data: str
    """The images, as for `adarts train --data`."""
    max_broken: NonNegativeInt = 0
    """Largest number of unreadable images to leave out; a folder with more is refused."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers."""
    size: PositiveInt
    """Side of the images in pixels."""
    flip: bool = True
    """Train on mirrored images, too. Turn it off if they mean something else, as digits and letters do."""
    limits: LimitSettings = LimitSettings()
    search: SearchPlan
    network: NetworkPlan
    training: TrainingPlan
    timm: TimmPlan = TimmPlan()
    rivals: tuple[str, ...]
    """Networks that are trained beside the one of the found cells: random:SEED, published cells by name, timm:NAME, or
    timm:NAME@FILE for one that starts from a file of weights."""

    @property
    def first(self) -> str:
        """The name of the first network: that of the found cells, or without a search that of the published ones."""
        return FOUND if self.search.trials else self.search.published

    @property
    def max_macs(self) -> int | None:
        """Most multiply-accumulate operations per image, by the limits and by the time."""
        known = [limit for limit in (self.limits.max_macs, self.network.macs) if limit is not None]
        return min(known, default=None)


@dataclass(frozen=True)
class Wishes:
    """What a plan must respect; None leaves the choice open.

    Attributes:
        limits: the limits on the delivered network.
        time_budget: time for everything, as text; None means 30 minutes.
        flip: train on mirrored images, too; None does so unless the data set forbids it.
        compare: train other networks beside that of the found cells.
        pretrained: a file of weights, or timm:NAME@FILE; the network of timm is compared with and without them.
        max_broken: largest number of unreadable images to leave out; None means 0.
        seed: seed of all random numbers; None means 0.
    """

    limits: LimitSettings = field(default_factory=LimitSettings)
    time_budget: str | None = None
    flip: bool | None = None
    compare: bool = True
    pretrained: str | None = None
    max_broken: int | None = None
    seed: int | None = None


def written(plan: Plan, reasons: Mapping[str, str]) -> str:
    """The plan as YAML, each setting with its reason in a comment above it.

    Args:
        plan: the plan.
        reasons: setting, by dotted name -> reason in one line.
    """
    lines = [
        "# The plan of `adarts run`, with the reason of every choice. Edit it, and run it with: adarts run --plan FILE",
        f"format: {FORMAT}",
    ]

    def write(values: Mapping[str, Any], prefix: str, indent: str) -> None:
        for name, value in values.items():
            if reason := reasons.get(prefix + name):
                lines.append(f"{indent}# {' '.join(reason.split())}")
            if isinstance(value, Mapping):
                lines.append(f"{indent}{name}:")
                write(value, f"{prefix}{name}.", indent + "  ")
            else:
                text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
                lines.append(f"{indent}{name}: {text.removesuffix('...' + chr(10)).removesuffix(chr(10))}")

    write(plan.model_dump(mode="json"), "", "")
    return "\n".join(lines) + "\n"


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: the file cannot be read, or is not a plan.
    """
    content = read_yaml(path)
    if content.pop("format", None) != FORMAT:
        raise ConfigError(f"{path}: not a plan of this version of adarts; it needs 'format: {FORMAT}'")
    content = checked(Plan, content, f"{path}: ".__add__)
    try:
        return validated(Plan, content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
