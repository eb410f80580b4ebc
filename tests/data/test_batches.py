"""Batches are pure functions of (seed, purpose, epoch, step)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adarts.data import Augmentation, Batches, Images
from adarts.errors import ConfigError

CPU = torch.device("cpu")
AUGMENTATION = Augmentation((0.5,) * 3, (0.25,) * 3, crop_padding=2, flip=True, cutout=3)


def make_images(count: int) -> Images:
    """Labels that are the index, to tell the images apart."""
    pixels = torch.randint(0, 256, (count, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Images(pixels, torch.arange(count))


def make(images: Images, indices: torch.Tensor, **changes: object) -> Batches:
    arguments = {
        "batch_size": 4, "seed": 3, "purpose": "weights", "augmentation": AUGMENTATION, "device": CPU, "drop_last": False,
    }  # fmt: skip
    return Batches(images, indices, **(arguments | changes))  # type: ignore[arg-type]


@given(
    members=st.sets(st.integers(0, 39), min_size=1),
    batch_size=st.integers(1, 40),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    epoch=st.integers(0, 1000),
)
def test_an_epoch_shows_every_image_once(
    members: set[int], batch_size: int, drop_last: bool, shuffle: bool, epoch: int
) -> None:
    indices = torch.tensor(sorted(members))
    if drop_last and batch_size > len(indices):
        with pytest.raises(ConfigError, match="larger than"):
            make(make_images(40), indices, batch_size=batch_size, drop_last=True)
        return
    batches = make(make_images(40), indices, batch_size=batch_size, drop_last=drop_last, shuffle=shuffle)
    seen = torch.cat([batches.batch(epoch, step)[1] for step in range(len(batches))])
    assert len(seen.unique()) == len(seen) == (len(members) // batch_size * batch_size if drop_last else len(members))
    assert set(seen.tolist()) <= members
    if not shuffle:
        assert seen.tolist() == sorted(members)[: len(seen)]


def test_any_batch_can_be_asked_for_at_any_time() -> None:
    images = make_images(40)
    batches = make(images, torch.arange(40))
    all_batches = {(epoch, step): batches.batch(epoch, step) for epoch in range(3) for step in range(10)}
    for (epoch, step), (pixels, labels) in reversed(all_batches.items()):
        again = make(images, torch.arange(40)).batch(epoch, step)
        assert torch.equal(again[0], pixels) and torch.equal(again[1], labels)


def test_the_batch_size_changes_no_image() -> None:
    images = make_images(12)
    small, large = (make(images, torch.arange(12), batch_size=size, shuffle=False) for size in (5, 12))
    assert torch.equal(torch.cat([small.batch(2, step)[0] for step in range(3)]), large.batch(2, 0)[0])


@pytest.mark.parametrize("changes", [{"seed": 4}, {"purpose": "alphas"}])
def test_seeds_and_purposes_have_orders_and_augmentations_of_their_own(changes: dict[str, object]) -> None:
    images = make_images(40)
    one, other = make(images, torch.arange(40)), make(images, torch.arange(40), **changes)
    assert not torch.equal(one.order(0), other.order(0))
    one, other = (make(images, torch.arange(40), shuffle=False, **more) for more in ({}, changes))
    assert not torch.equal(one.batch(0, 0)[0], other.batch(0, 0)[0])


def test_epochs_differ() -> None:
    batches = make(make_images(40), torch.arange(40))
    assert not torch.equal(batches.order(0), batches.order(1))
    still = make(make_images(40), torch.arange(40), shuffle=False)
    assert not torch.equal(still.batch(0, 0)[0], still.batch(1, 0)[0])


def test_a_step_beyond_the_epoch_is_an_error() -> None:
    batches = make(make_images(8), torch.arange(8))
    with pytest.raises(IndexError, match="step 2"):
        batches.batch(0, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_gives_the_same_batches() -> None:
    images = make_images(40)
    here, there = (make(images, torch.arange(40), device=torch.device(kind)) for kind in ("cpu", "cuda"))
    assert there.images.pixels.device.type == "cuda"
    assert make(images, torch.arange(20), device=torch.device("cuda")).images is there.images
    for step in range(len(here)):
        torch.testing.assert_close(there.batch(1, step)[0].cpu(), here.batch(1, step)[0])
