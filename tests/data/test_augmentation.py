"""The batched augmentation against a slow one, image by image, and its independence of the batch."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import v2

from adarts.config.settings import ImageSettings
from adarts.data import Augmentation
from adarts.data.hashed_random import BITS, below, draws
from adarts.errors import ConfigError

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def make_pixels(count: int, height: int, width: int, channels: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(count * height * width)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=random)


def slow(augmentation: Augmentation, image_chw: Tensor, numbers: Tensor) -> Tensor:
    """The recipe as it is told: pad and crop, flip, scale to [0, 1], normalize, cut a square out."""
    channels, height, width = image_chw.shape
    row, column, flip, hole_row, hole_column, _ = numbers.tolist()
    pad, side = augmentation.crop_padding, augmentation.cutout
    top, left = row * (2 * pad + 1) >> BITS, column * (2 * pad + 1) >> BITS
    out = torch.zeros(channels, height, width)
    for y in range(height):
        for x in range(width):
            seen_x = width - 1 - x if augmentation.flip and flip >> (BITS - 1) else x
            from_y, from_x = y + top - pad, seen_x + left - pad
            inside = 0 <= from_y < height and 0 <= from_x < width
            for c in range(channels):
                value = image_chw[c, from_y, from_x].item() / 255 if inside else 0.0
                out[c, y, x] = (value - augmentation.mean[c]) / augmentation.std[c]
    if side:
        center_y, center_x = hole_row * height >> BITS, hole_column * width >> BITS
        first_y, first_x = center_y - side // 2, center_x - side // 2
        out[:, max(0, first_y) : max(0, first_y + side), max(0, first_x) : max(0, first_x + side)] = 0
    return out


@given(
    count=st.integers(1, 4),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    padding=st.integers(0, 3),
    flip=st.booleans(),
    cutout=st.integers(0, 12),
    key=st.integers(0, 2**63 - 1),
)
@settings(max_examples=60)
def test_equals_the_slow_one(
    count: int, height: int, width: int, padding: int, flip: bool, cutout: int, key: int
) -> None:
    augmentation = Augmentation(MEAN, STD, padding, flip, cutout)
    pixels, numbers = make_pixels(count, height, width), draws(key, torch.arange(count), Augmentation.NUM_DRAWS)
    expected = torch.stack([slow(augmentation, *pair) for pair in zip(pixels, numbers, strict=True)])
    torch.testing.assert_close(augmentation(pixels, numbers), expected, atol=1e-5, rtol=1e-5)


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 2**63 - 1))
@settings(max_examples=40)
def test_an_image_does_not_depend_on_its_batch(order: list[int], size: int, key: int) -> None:
    augmentation = Augmentation(MEAN, STD, crop_padding=4, flip=True, cutout=5)
    pixels = make_pixels(12, 7, 11)
    whole = augmentation(pixels, draws(key, torch.arange(12), Augmentation.NUM_DRAWS))
    for indices in torch.tensor(order).split(size):
        batch = augmentation(pixels[indices], draws(key, indices, Augmentation.NUM_DRAWS))
        assert torch.equal(batch, whole[indices])


def test_channels_lie_last_and_may_be_any_number() -> None:
    out = Augmentation((0.5,), (0.5,), 2, True, 2)(make_pixels(3, 8, 8, channels=1), draws(0, torch.arange(3), 6))
    assert out.shape == (3, 1, 8, 8)
    out = Augmentation(MEAN, STD, 2, True, 2)(make_pixels(3, 8, 8), draws(0, torch.arange(3), 6))
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 3])
def test_rand_augment_changes_an_image_by_its_own_number_alone(channels: int) -> None:
    """As torchvision changes a single image with this seed."""
    mean, std = MEAN[:channels], STD[:channels]
    pixels, numbers = make_pixels(6, 9, 12, channels), draws(3, torch.arange(6), Augmentation.NUM_DRAWS)
    augmentation = Augmentation(mean, std, rand_augment=9)
    before = torch.get_rng_state()
    whole = augmentation(pixels, numbers)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(augmentation(pixels[[4, 1]], numbers[[4, 1]]), whole[[4, 1]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(numbers[4, 5]))
        changed = v2.RandAugment(magnitude=9)(pixels[4])
    assert torch.equal(Augmentation(mean, std)(changed[None], numbers[[4]]), whole[[4]])
    assert (whole != Augmentation(mean, std)(pixels, numbers)).flatten(1).any(1).sum() > 2


def test_rand_augment_is_for_gray_and_colors() -> None:
    many = SimpleNamespace(mean=(0.5,) * 5, std=(0.25,) * 5)
    assert Augmentation.of(ImageSettings(), many).rand_augment == 0
    with pytest.raises(ConfigError, match="one or three channels, not 5"):
        Augmentation.of(ImageSettings(rand_augment=9), many)


def test_the_hole_hangs_over_the_border_as_often_as_the_uniform_center_says() -> None:
    count, side, length = 20_000, 16, 32
    white = torch.full((count, 1, length, length), 255, dtype=torch.uint8)
    out = Augmentation((0.0,), (1.0,), cutout=side)(white, draws(7, torch.arange(count), Augmentation.NUM_DRAWS))
    area = (out == 0).sum((1, 2, 3))
    assert area.max() == side * side
    # Centers 8 to 24 leave the whole side inside the image.
    assert (area == side * side).float().mean().item() == pytest.approx((17 / 32) ** 2, abs=0.015)


@pytest.mark.parametrize("limit", [1, 2, 9, 32])
def test_draws_are_uniform_and_unrelated(limit: int) -> None:
    count = 100_000
    numbers = below(draws(123, torch.arange(count), 3), limit)
    assert numbers.min() >= 0 and numbers.max() < limit
    for column in numbers.unbind(1):
        share = torch.bincount(column, minlength=limit) / count
        assert share.sub(1 / limit).abs().max() < 0.006
    if limit > 1:
        other_key = below(draws(124, torch.arange(count), 1), limit)
        pairs = torch.cat([numbers, other_key], 1).float()
        assert torch.corrcoef(pairs.T).fill_diagonal_(0).abs().max() < 0.015
        neighbors = torch.stack([pairs[:-1, 0], pairs[1:, 0]])
        assert torch.corrcoef(neighbors)[0, 1].abs() < 0.015


def unsigned_hash(key: int, index: int, number: int) -> int:
    """The same hash in Python's integers of any length."""
    mask = 2**64 - 1

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        return x ^ x >> 31

    gamma = 0x9E3779B97F4A7C15
    return mix(mix(key + (index + 1) * gamma & mask) + (number + 1) * gamma & mask) >> (64 - BITS)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**31))
def test_draws_equal_the_unsigned_arithmetic(key: int, index: int) -> None:
    assert draws(key, torch.tensor([index]), 3).tolist() == [[unsigned_hash(key, index, n) for n in range(3)]]
