"""The width at which a network reaches a size."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adarts.errors import ConfigError
from adarts.models import Network, count_parameters, width_for
from adarts.spaces import get_space, random_genotype


@pytest.mark.full
@given(
    space=st.sampled_from(["darts", "nasbench201"]),
    seed=st.integers(0, 99),
    channels=st.integers(1, 12),
    more=st.integers(0, 2000),
)
@settings(max_examples=25, deadline=None)
def test_the_width_for_a_size_is_the_smallest_that_reaches_it(space: str, seed: int, channels: int, more: int) -> None:
    def size(width: int) -> int:
        try:
            return count_parameters(Network(genotype, 10, width, 3, 1))
        except ConfigError:  # an odd width cannot be halved
            return 0

    genotype = random_genotype(get_space(space), seed)
    wanted = size(2 * channels) + more
    width = width_for(genotype, wanted, num_classes=10, cells=3, in_channels=1)
    assert size(width) >= wanted
    assert all(size(smaller) < wanted for smaller in range(1, width))
    assert width_for(genotype, size(2 * channels), 10, 3, 1) <= 2 * channels
