"""What is known of a network: where it comes from, what was published of it, how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adarts.spaces import Genotype


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a network.

    Attributes:
        name: by which it is listed.
        title: as people call it.
        method: that found it.
        paper: of the method; None where the origin is not known.
        year: of the paper.
        source: repository and file with its text.
        source_name: that its source gives it, as good as its name to find it; with the method before it where several sources
            would give the same.
        cifar10_error: published test error in per cent; None where no source gives one for this very network.
        cifar100_error: the same on CIFAR-100.
        size: published number of parameters in millions.
        figures: who published the errors and the size.
        parameters: of our network, for 10 classes; of cells with 36 channels and 20 cells.
        remarks: what people should know.
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
    """A hand-designed network; its errors are those that Table I of the ADARTS paper quotes.

    Attributes:
        recipe: the settings that it is trained with, as a layer of a configuration.
    """

    method: str = "designed by hand"
    figures: str = "Table I of the ADARTS paper"
    recipe: Mapping[str, Mapping[str, Any]] = field(hash=False)
