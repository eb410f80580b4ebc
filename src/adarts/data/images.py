"""Images in memory, and data sets of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Images:
    """Images and their labels.

    Attributes:
        pixels: uint8 (n, c, h, w), channels last in memory.
        labels: int64 (n,).
        names: the file of each image, seen from its folder; empty for images that are no files.
    """

    pixels: Tensor
    labels: Tensor
    names: tuple[str, ...] = ()
    _copies: dict[torch.device, Images] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.dim() != 4 or self.labels.shape != self.pixels.shape[:1]:
            raise ValueError(f"not images with labels: {tuple(self.pixels.shape)} {self.pixels.dtype}")
        object.__setattr__(self, "pixels", self.pixels.contiguous(memory_format=torch.channels_last))
        object.__setattr__(self, "labels", self.labels.long())

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def rows(self) -> Tensor:
        """The pixels as stored in memory, (n, h, w, c); indexing this view is fast."""
        return self.pixels.permute(0, 2, 3, 1).contiguous()

    def select(self, indices: Tensor) -> Images:
        """The images with these indices, in their order."""
        names = tuple(self.names[index] for index in indices.tolist()) if self.names else ()
        return Images(self.rows[indices].permute(0, 3, 1, 2), self.labels[indices], names)

    def resized(self, size: int) -> Images:
        """The images scaled to this height and width."""
        scale = partial(functional.interpolate, size=(size, size), mode="bilinear", antialias=True)
        parts = self.pixels.split(1024)  # scaling makes copies in a wider type
        return Images(torch.cat([scale(part) for part in parts]), self.labels, self.names)

    def recolored(self, channels: int) -> Images:
        """Gray images as RGB (3 channels), or RGB images as gray (1): the luma of ITU-R BT.601, rounded as Pillow does."""
        if channels == 3:
            return Images(self.pixels.expand(-1, 3, -1, -1), self.labels, self.names)
        factors = torch.tensor([19595, 38470, 7471], dtype=torch.int32)[:, None, None]
        parts = self.pixels.split(1024)  # the products need a wider type
        lumas = [((part.int() * factors).sum(1, keepdim=True, dtype=torch.int32) + 0x8000) >> 16 for part in parts]
        return Images(torch.cat([luma.to(torch.uint8) for luma in lumas]), self.labels, self.names)

    def on(self, device: torch.device) -> Images:
        """These images on a device if they fit into half of its free memory, else unchanged; keeps one copy per device."""
        if device.type != "cuda" or self.pixels.device == device:
            return self
        if device not in self._copies:
            free, _ = torch.cuda.mem_get_info(device)
            if self.pixels.numel() > free // 2:
                return self
            self._copies[device] = Images(self.pixels.to(device), self.labels.to(device))
        return self._copies[device]


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set, ready for training.

    Attributes:
        name: short name for files and tables.
        classes: names of the classes, indexed by label.
        train: training images.
        test: test images.
        mean: mean of each channel of the training images, on a scale from 0 to 1.
        std: standard deviation, likewise.
        notes: what was left out, reduced or changed.
        left_out: broken files with the reason.
        duplicates: groups of files whose pixels are equal.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    fingerprint: str = field(init=False)
    """sha256 over the pixels and labels of both parts."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint(self.train, self.test))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.train.pixels.shape[2:]
        return height, width

    @property
    def in_channels(self) -> int:
        return self.train.pixels.shape[1]

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def class_counts(self) -> list[tuple[str, int, int]]:
        """Name, training images and test images of every class."""
        train, test = (
            torch.bincount(part.labels, minlength=self.num_classes).tolist() for part in (self.train, self.test)
        )
        return list(zip(self.classes, train, test, strict=True))

    def record(self) -> dict[str, Any]:
        """All that is known about the images, as plain JSON for a run folder."""
        height, width = self.image_size
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "height": height,
            "width": width,
            "channels": self.in_channels,
            "classes": [{"name": name, "train": train, "test": test} for name, train, test in self.class_counts],
            "left_out": [{"file": file, "reason": reason} for file, reason in self.left_out],
            "duplicates": [list(group) for group in self.duplicates],
            "notes": list(self.notes),
        }

    def facts(self) -> list[tuple[str, str]]:
        """Rows of (name, value) to show before a run starts."""
        height, width = self.image_size
        more, kinds = ", ..." if self.num_classes > 10 else "", {1: "gray", 3: "RGB"}
        return [
            ("data set", self.name),
            ("classes", f"{self.num_classes}: {', '.join(self.classes[:10])}{more}"),
            ("images", f"{height}x{width}, {kinds.get(self.in_channels, f'{self.in_channels} channels')}"),
            ("training part", self._counts(self.train)),
            ("test part", self._counts(self.test)),
            ("fingerprint", self.fingerprint[:12]),
            *(("note", note) for note in self.notes),
        ]

    def _counts(self, images: Images) -> str:
        counts = torch.bincount(images.labels, minlength=self.num_classes)
        few, many = int(counts.min()), int(counts.max())
        return f"{len(images):,} images, {few if few == many else f'{few} to {many}'} per class"


def fingerprint(*parts: Images) -> str:
    """The sha256 of pixels and labels."""
    digest = hashlib.sha256()
    for images in parts:
        digest.update(str(tuple(images.pixels.shape)).encode())
        digest.update(images.rows.numpy().data)
        digest.update(images.labels.numpy().data)
    return digest.hexdigest()


def statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Exact mean and standard deviation of each channel on a scale from 0 to 1, from the histogram of its bytes."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.pixels.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * values).sum()
        means.append(float(mean))
        # A constant channel has standard deviation 0; 1 avoids the division and leaves the channel at 0.
        stds.append(float((share * (values - mean) ** 2).sum().sqrt()) or 1.0)
    return tuple(means), tuple(stds)


def shared_images(train: Images, test: Images) -> int:
    """Number of test images that are also training images, byte for byte."""
    known = set(digests(train))
    return sum(digest in known for digest in digests(test))


def digests(images: Images) -> list[bytes]:
    """The sha256 of the pixels of each image."""
    return [hashlib.sha256(image).digest() for image in images.rows.numpy()]
