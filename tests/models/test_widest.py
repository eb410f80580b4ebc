"""The widest network that meets limits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from adarts.errors import ConfigError
from adarts.models import cost, count_parameters
from adarts.models.limits import WIDEST, Limits, Shape, sizes_within, widest
from adarts.spaces import DARTS, NASBENCH201, Genotype, Space, get_space, random_genotype

PHOTOS = Shape(num_classes=7, in_channels=3, image_size=(48, 40))
STRIDED = Shape(7, 1, (97, 80), 4)


def counted(cells: Genotype, channels: int, shape: Shape = PHOTOS) -> tuple[int, int]:
    with torch.device("meta"):
        found = cost(shape.network(cells, channels, 4), shape.image_size)
    return found.parameters, found.macs


@given(seed=st.integers(0, 200), parameters=st.integers(20_000, 300_000), macs=st.integers(4_000_000, 60_000_000))
@settings(max_examples=2, deadline=None)
def test_the_next_width_breaks_a_limit(seed: int, parameters: int, macs: int) -> None:
    for space in (DARTS, NASBENCH201):
        cells = random_genotype(space, seed)
        channels = widest(cells, 4, PHOTOS, Limits(parameters, macs))
        inside, outside = counted(cells, channels), counted(cells, channels + 2)
        assert inside[0] <= parameters and inside[1] <= macs
        assert outside[0] > parameters or outside[1] > macs or channels == WIDEST


@pytest.mark.parametrize("space", [DARTS, NASBENCH201], ids=lambda space: space.name)
def test_a_latency_is_measured_on_the_network_itself(space: Space) -> None:
    measured = []

    def latency(network: nn.Module) -> float:
        measured.append(count_parameters(network))
        return measured[-1] / 1e4  # a machine that needs a millisecond for 10,000 parameters

    cells = random_genotype(space, 3)
    channels = widest(cells, 4, PHOTOS, Limits(latency=5.0), latency)
    assert channels == widest(cells, 4, PHOTOS, Limits(parameters=50_000))
    assert counted(cells, channels)[0] in measured and len(measured) < 10
    with pytest.raises(ValueError, match="needs a way to measure it"):
        widest(cells, 4, PHOTOS, Limits(latency=5.0))


def test_limits_that_no_width_meets_say_what_the_narrowest_network_needs() -> None:
    cells = random_genotype(DARTS, 0)
    parameters, macs = counted(cells, 2)
    with pytest.raises(ConfigError) as caught:
        widest(cells, 4, PHOTOS, Limits(100, 1000))
    assert f"the narrowest network has {parameters:,} parameters, more than 100 and {macs:,} MACs" in str(caught.value)
    with pytest.raises(ConfigError, match=r"a latency of 9\.00 ms, more than 2 ms"):
        widest(cells, 4, PHOTOS, Limits(latency=2), lambda network: 9.0)


@pytest.mark.parametrize(
    ("space", "shape"),
    [
        (NASBENCH201, STRIDED),
        pytest.param(DARTS, PHOTOS, marks=pytest.mark.full),
        *(pytest.param(*case, marks=pytest.mark.full) for case in ((DARTS, STRIDED), (NASBENCH201, PHOTOS))),
        *(pytest.param(get_space("s1"), shape, marks=pytest.mark.full) for shape in (PHOTOS, STRIDED)),
    ],
    ids=["nasbench201 strided", "darts", "darts strided", "nasbench201", "s1", "s1 strided"],
)
def test_sizes_of_many_cells_are_those_of_their_widest_networks(space: Space, shape: Shape) -> None:
    cells = [random_genotype(space, seed) for seed in range(3)]
    costs = [counted(cell, 8, shape) for cell in cells]
    for limits in (Limits(), Limits(sorted(costs)[1][0]), Limits(10**9, sorted(macs for _, macs in costs)[1] - 1)):
        expected = [counted(cell, widest(cell, 4, shape, limits, most=12), shape)[0] for cell in cells]
        assert sizes_within(cells, 4, shape, limits, 12).tolist() == expected
    narrowest = [counted(cell, 2, shape)[0] for cell in cells]
    assert sizes_within(cells, 4, shape, Limits(10), 12).tolist() == narrowest


def test_without_limits_the_network_is_as_wide_as_can_be() -> None:
    assert widest(random_genotype(DARTS, 0), 3, PHOTOS, Limits()) == WIDEST
