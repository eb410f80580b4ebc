"""Batches of augmented images; each batch is a pure function of (seed, purpose, epoch, step)."""

from __future__ import annotations

import torch
from torch import Tensor

from adarts.data.augmentation import Augmentation
from adarts.data.hashed_random import draws
from adarts.data.images import Images
from adarts.errors import ConfigError
from adarts.seeding import derive_seed, generator


class Batches:
    """Batches of selected images, epoch by epoch.

    It has no position: any batch is available at any time, so a resumed run sees the same batches as an uninterrupted one.
    The augmentation of an image depends on the seed, the purpose, the epoch and the image's index, but not on its batch.

    Args:
        images: all images; moved to the device if they fit.
        indices: the images to use.
        batch_size: images per batch.
        seed: seed of the run.
        purpose: e.g. "weights"; each purpose has its own order and augmentation.
        augmentation: applied to each batch.
        device: device of the batches.
        drop_last: leave out the last batch of an epoch if it is smaller.
        shuffle: use another order in every epoch; otherwise keep the order of `indices`.

    Raises:
        ConfigError: there are too few images for one batch.
    """

    def __init__(
        self,
        images: Images,
        indices: Tensor,
        *,
        batch_size: int,
        seed: int,
        purpose: str,
        augmentation: Augmentation,
        device: torch.device,
        drop_last: bool,
        shuffle: bool = True,
    ) -> None:
        self.images, self.indices, self.augmentation, self.device = images.on(device), indices, augmentation, device
        self.batch_size, self.drop_last, self.shuffle = batch_size, drop_last, shuffle
        self.seed, self.purpose = seed, purpose
        if len(self) == 0:
            raise ConfigError(
                f"a batch of {batch_size} is larger than the {len(indices)} images for the {purpose}; "
                "choose a smaller one with --search.batch-size or --training.batch-size"
            )
        self._order: tuple[int, Tensor] = (-1, indices)  # (epoch, order) of the last request

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(len(self.indices), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """A batch on the device: images, float32 (b, c, h, w) with the channels last in memory, and labels, int64 (b,)."""
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of an epoch of {len(self)}")
        indices = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        key = derive_seed(self.seed, "augmentation", self.purpose, epoch)
        pixels = self.images.rows.index_select(0, indices).permute(0, 3, 1, 2).to(self.device)
        numbers = draws(key, indices.to(self.device), Augmentation.NUM_DRAWS)
        return self.augmentation(pixels, numbers), self.images.labels[indices].to(self.device)

    def order(self, epoch: int) -> Tensor:
        """The indices in the order of an epoch, on the device of the images."""
        if self._order[0] != epoch:
            order = self.indices
            if self.shuffle:
                random = generator(self.seed, "order", self.purpose, epoch)
                order = order[torch.randperm(len(order), generator=random)]
            self._order = (epoch, order.to(self.images.pixels.device))
        return self._order[1]
