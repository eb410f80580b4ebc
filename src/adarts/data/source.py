"""Images as loaded, before they are split, reduced, scaled and measured."""

from __future__ import annotations

from dataclasses import dataclass

from adarts.data.images import Images, fingerprint


@dataclass(frozen=True)
class Source:
    """Images as loaded.

    Attributes:
        name: short name for files and tables.
        classes: names of the classes.
        train: training images.
        test: test images; if None, a share of every class of the training images becomes the test set.
        notes: what was left out or changed.
        normalization: published mean and standard deviation by channel; if None, they are computed from the training images.
        digests: sha256 of every training image in its own size, which decides the split; if empty, of the pixels in `train`.
        left_out: broken files with the reason.
        duplicates: groups of files whose pixels are equal.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images | None
    notes: tuple[str, ...] = ()
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    digests: tuple[bytes, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()

    @property
    def reference(self) -> str:
        """Name and fingerprint; the configuration of a run stores it for images given as objects."""
        parts = [self.train] if self.test is None else [self.train, self.test]
        return f"dataset:{self.name}-{fingerprint(*parts)[:12]}"
