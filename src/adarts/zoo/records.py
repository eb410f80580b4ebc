"""Records of networks: origin, published figures, size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adarts.spaces import Genotype


@dataclass(frozen=True, kw_only=True)
class Record:
    """A network and its facts.

    Attributes:
        name: name in the zoo.
        title: usual name.
        method: method that found it.
        paper: paper of the method; None if unknown.
        year: year of the paper.
        source: repository and file with its genotype.
        source_name: name in the source, which also finds it; prefixed with the method if several sources use the same name.
        cifar10_error: published test error on CIFAR-10 in percent; None if no source gives one for this network.
        cifar100_error: published test error on CIFAR-100 in percent.
        size: published number of parameters in millions.
        figures: origin of the published errors and size.
        parameters: parameters of our network for 10 classes; for cells, with 36 channels and 20 cells.
        remarks: remarks.
    """

    name: str
    title: str
    method: str
    paper: str | None
    year: int | None
    source: str | None = None
    source_name: str | None = None
    cifar10_error: float | None
    cifar100_error: float | None
    size: float | None
    figures: str | None
    parameters: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry(Record):
    """Published cells.

    Attributes:
        document: the cells in the JSON form of a genotype.
    """

    document: Mapping[str, Any] = field(repr=False, hash=False)

    @cached_property
    def genotype(self) -> Genotype:
        """The cells."""
        from adarts.spaces import Genotype

        return Genotype.from_dict(self.document)


@dataclass(frozen=True, kw_only=True)
class Baseline(Record):
    """A hand-designed network; its errors are from Table I of the ADARTS paper.

    Attributes:
        recipe: its training settings, as a layer of a configuration.
    """

    method: str = "designed by hand"
    figures: str = "Table I of the ADARTS paper"
    recipe: Mapping[str, Mapping[str, Any]] = field(hash=False)
