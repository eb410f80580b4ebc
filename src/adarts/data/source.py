"""What a source of images hands over, before it is divided, reduced, scaled and measured."""

from __future__ import annotations

from dataclasses import dataclass

from adarts.data.images import Images, fingerprint


@dataclass(frozen=True)
class Source:
    """Images as they were found.

    Attributes:
        name: short, for file names and tables.
        classes: their names.
        train: the training part.
        test: the test part; None keeps a share of every class of the training part for it.
        notes: what was left out or changed.
        normalization: published mean and standard deviation by channel; none takes those of the training part.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images | None
    notes: tuple[str, ...] = ()
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def reference(self) -> str:
        """What stands for images that were given as objects in the configuration of a run: a name and their fingerprint."""
        parts = [self.train] if self.test is None else [self.train, self.test]
        return f"dataset:{self.name}-{fingerprint(*parts)[:12]}"
