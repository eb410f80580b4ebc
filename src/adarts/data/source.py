"""What a source of images hands over, before it is reduced, scaled and measured."""

from __future__ import annotations

from dataclasses import dataclass

from adarts.data.images import Images


@dataclass(frozen=True)
class Source:
    """Images as they were found.

    Attributes:
        name: short, for file names and tables.
        classes: their names.
        train: the training part.
        test: the test part.
        notes: what was left out or changed.
        normalization: published mean and standard deviation by channel; none takes those of the training part.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    notes: tuple[str, ...] = ()
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None
