"""Splits cover, are disjoint, stratified and seeded."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adarts.config.settings import ImageSettings
from adarts.data import Images, hold_out, search_split
from adarts.data.splits import hold_out_by_content, subset
from adarts.errors import ConfigError

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)
SEEDS = st.integers(0, 1000)
FRACTIONS = st.floats(0, 1, exclude_max=True)


def make_images(labels: list[int]) -> Images:
    return Images(torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1), torch.tensor(labels))


def counts(images: Images, indices: Tensor) -> Tensor:
    return torch.bincount(images.labels[indices], minlength=5)


def assert_divided(images: Images, first: Tensor, second: Tensor) -> None:
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(len(images)))
    assert first.tolist() == sorted(first.tolist()) and second.tolist() == sorted(second.tolist())


@given(LABELS, SEEDS)
def test_halves_are_equal_in_every_class(labels: list[int], seed: int) -> None:
    images = make_images(labels)
    first, second = search_split(images, ImageSettings(), seed)
    assert_divided(images, first, second)
    assert (counts(images, first) - counts(images, second)).abs().max() <= 1
    assert 0 <= len(first) - len(second) <= 1


@given(LABELS, FRACTIONS, SEEDS)
def test_hold_out_keeps_a_share_of_every_class(labels: list[int], fraction: float, seed: int) -> None:
    images = make_images(labels)
    stay, out = hold_out(images, fraction, seed)
    assert_divided(images, stay, out)
    total, kept = torch.bincount(images.labels, minlength=5), counts(images, out)
    assert ((kept - fraction * total).abs() <= 1).all()
    assert (kept <= (total - 1).clamp(min=0)).all()
    if fraction > 0:
        assert (kept[total >= 2] >= 1).all()
    else:
        assert not len(out)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=40), FRACTIONS, SEEDS)
def test_hold_out_leaves_equal_images_of_a_class_together(
    pairs: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    images = Images(torch.tensor([[[[look]]] for _, look in pairs], dtype=torch.uint8), torch.tensor(pairs)[:, 0])
    stay, out = hold_out(images, fraction, seed)
    assert_divided(images, stay, out)
    sides = [{pairs[index] for index in side.tolist()} for side in (stay, out)]
    for label in {label for label, _ in pairs}:
        looks = {pair for pair in pairs if pair[0] == label}
        assert not looks & sides[0] & sides[1] or len(looks) == 1
        assert looks & sides[0]
        members = [pair for pair in pairs if pair[0] == label]
        wanted, fewest = round(fraction * len(members)), min(members.count(look) for look in looks)
        assert sum(pairs[index][0] == label for index in out.tolist()) <= max(wanted, fewest)
        assert looks & sides[1] or fraction == 0 or sum(pair[0] == label for pair in pairs) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.binary(min_size=32, max_size=32)), min_size=1, max_size=40), FRACTIONS)
def test_hold_out_by_content_depends_on_each_image_alone(pairs: list[tuple[int, bytes]], fraction: float) -> None:
    labels, digests = torch.tensor([label for label, _ in pairs]), [digest for _, digest in pairs]
    images = make_images(labels.tolist())
    stay, out = hold_out_by_content(labels, digests, fraction)
    assert_divided(images, stay, out)
    total, held = torch.bincount(labels, minlength=5), counts(images, out)
    assert ((held >= 1) & (held < total))[total > 1].all()
    again, _ = hold_out_by_content(labels.flip(0), digests[::-1], fraction)
    assert sorted(digests[n] for n in stay) == sorted(digests[::-1][n] for n in again) or len(set(digests)) < len(
        digests
    )


@given(LABELS, st.integers(1, 20), SEEDS)
def test_subset_takes_so_many_of_every_class(labels: list[int], per_class: int, seed: int) -> None:
    images = make_images(labels)
    chosen = subset(images, per_class, seed)
    assert counts(images, chosen).tolist() == torch.bincount(images.labels, minlength=5).clamp(max=per_class).tolist()


def test_seeds_decide() -> None:
    images = make_images([0, 1] * 50)
    for split in (
        lambda seed: search_split(images, ImageSettings(), seed)[0],
        lambda seed: hold_out(images, 0.3, seed)[1],
        lambda seed: subset(images, 10, seed),
    ):
        assert torch.equal(split(1), split(1))
        assert not torch.equal(split(1), split(2))


def test_halves_by_index() -> None:
    first, second = search_split(make_images([0, 1, 0, 1, 1]), ImageSettings(split="index"), seed=0)
    assert (first.tolist(), second.tolist()) == ([0, 1], [2, 3, 4])


def test_halves_by_index_refuse_images_in_the_order_of_their_classes() -> None:
    with pytest.raises(ConfigError, match="stratified"):
        search_split(make_images([0, 0, 1, 1]), ImageSettings(split="index"), seed=0)
