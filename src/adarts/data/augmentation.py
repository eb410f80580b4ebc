"""Random crop, flip, normalization and cutout of a whole batch at once; each image has its own random numbers.

Shapes: b images, h height, w width, c channels, r one row of pixels with its channels (w * c), n random numbers.

Channels are last in memory, so a pixel is a few adjacent bytes and a row is one long vector. Each step below works on
pixels or on rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from adarts.config.settings import ImageSettings
from adarts.data.hashed_random import below
from adarts.errors import ConfigError
from adarts.seeding import drawing_on_the_cpu


class Normalized(Protocol):
    """An object with mean and standard deviation by channel, such as :class:`adarts.data.ImageData`."""

    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def std(self) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class Augmentation:
    """Augmentation and normalization of a batch; with crop, flip and cutout off, only normalization.

    The order follows the DARTS recipe: pad with black pixels and crop, flip, normalize, cut out a square. The square is 0 after
    normalization, i.e. has the mean color. Its center is uniform over the image, so it may extend beyond the border. RandAugment
    follows the flip.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    rand_augment: int = 0

    NUM_DRAWS: ClassVar[int] = 6
    """Random numbers per image: crop row, crop column, flip, cutout row, cutout column, seed of RandAugment."""

    @classmethod
    def of(cls, settings: ImageSettings, data: Normalized) -> Augmentation:
        """The augmentation for training with these settings.

        Raises:
            ConfigError: RandAugment for images that have neither one channel nor three.
        """
        if settings.rand_augment and len(data.mean) not in (1, 3):
            raise ConfigError(f"images.rand_augment is for images of one or three channels, not {len(data.mean)}")
        how = settings.crop_padding, settings.flip, settings.cutout, settings.rand_augment
        return cls(data.mean, data.std, *how)

    @classmethod
    def plain(cls, data: Normalized) -> Augmentation:
        """Only normalization, to measure accuracy."""
        return cls(data.mean, data.std)

    def __call__(self, pixels_bchw: Tensor, draws_bn: Tensor) -> Tensor:
        """Augment a batch.

        Args:
            pixels_bchw: uint8, preferably channels last in memory.
            draws_bn: :attr:`NUM_DRAWS` random numbers per image.

        Returns:
            float32 (b, c, h, w), channels last in memory.
        """
        crop_row, crop_column, flip, hole_row, hole_column, policy = draws_bn.unbind(1)
        x_bhwc = pixels_bchw.permute(0, 2, 3, 1).contiguous()
        b, h, w, c = x_bhwc.shape
        if self.crop_padding or self.flip:
            x_bhwc = self._crop_and_flip(x_bhwc, crop_row, crop_column, flip)
        if self.rand_augment:
            x_bhwc = _changed(x_bhwc, self.rand_augment, policy)
        shift_r, scale_r = _constants(self.mean, self.std, w, x_bhwc.device)
        # Two roundings, never fused: the result must not depend on the position of an image in the batch.
        x_bhr = x_bhwc.view(b, h, w * c).float().sub_(shift_r).mul_(scale_r)
        if self.cutout:
            hole_bh = _square(hole_row, self.cutout, h)
            hole_br = _square(hole_column, self.cutout, w).repeat_interleave(c, dim=1)
            x_bhr.mul_(1 - hole_bh[:, :, None] * hole_br[:, None, :])  # twice as fast as a masked fill
        return x_bhr.view(b, h, w, c).permute(0, 3, 1, 2)

    def _crop_and_flip(self, x_bhwc: Tensor, row: Tensor, column: Tensor, flip: Tensor) -> Tensor:
        """Crop and flip in one gather of pixels; a flipped image reads its columns from right to left."""
        b, h, w, c = x_bhwc.shape
        pad = self.crop_padding
        padded = functional.pad(x_bhwc, (0, 0, pad, pad, pad, pad))
        rows_bh = below(row, 2 * pad + 1)[:, None] + torch.arange(h, device=row.device)
        columns_bw = torch.arange(w, device=row.device).expand(b, w)
        if self.flip:
            columns_bw = torch.where(below(flip, 2)[:, None] == 1, w - 1 - columns_bw, columns_bw)
        columns_bw = below(column, 2 * pad + 1)[:, None] + columns_bw
        images_b = torch.arange(b, device=row.device)[:, None] * (h + 2 * pad)
        pixels = (images_b + rows_bh)[:, :, None] * (w + 2 * pad) + columns_bw[:, None, :]
        return padded.view(-1, c).index_select(0, pixels.flatten()).view(b, h, w, c)


def _changed(x_bhwc: Tensor, magnitude: int, seeds_b: Tensor) -> Tensor:
    """RandAugment, image by image: for a batch, torchvision would draw once. An image depends on its seed alone."""
    from torchvision.transforms import v2  # takes long to load

    policy = v2.RandAugment(magnitude=magnitude)
    images = []
    for image_hwc, seed in zip(x_bhwc, seeds_b.tolist(), strict=True):
        with drawing_on_the_cpu(seed):
            images.append(policy(image_hwc.permute(2, 0, 1)).permute(1, 2, 0))
    return torch.stack(images)


def _square(center: Tensor, side: int, length: int) -> Tensor:
    """Indicator of the square along one axis, (b, length): 1.0 inside, 0.0 outside; its center is uniform in [0, length)."""
    offset = torch.arange(length, device=center.device) - below(center, length)[:, None] + side // 2
    return ((offset >= 0) & (offset < side)).float()


def normalizing(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Shift and scale of each channel, float32 (c,): normalized = (bytes - shift) * scale.

    Args:
        mean, std: on a scale from 0 to 1.
    """
    shift = 255 * torch.tensor(mean, dtype=torch.float64)
    scale = 1 / (255 * torch.tensor(std, dtype=torch.float64))
    return shift.float(), scale.float()


@lru_cache(maxsize=32)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Shift and scale of a row of bytes."""
    shift_c, scale_c = normalizing(mean, std)
    return shift_c.repeat(width).to(device), scale_c.repeat(width).to(device)
