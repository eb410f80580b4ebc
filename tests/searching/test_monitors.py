import math

import pytest
import torch

from adarts.searching.monitors import channel_stability, collapse_warning, edge_margin, entropy, operation_margin
from adarts.spaces import DARTS, CellGenotype, Genotype
from adarts.supernet import Selection


def test_entropy_is_log_of_the_operations_when_undecided_and_zero_when_decided() -> None:
    assert entropy(torch.full((14, 8), 1 / 8, dtype=torch.double)) == pytest.approx(math.log(8))
    assert entropy(torch.eye(8, dtype=torch.double)) == 0


def test_entropy_of_weights_that_do_not_compete_is_that_of_their_shares() -> None:
    weights_eo = torch.tensor([[0.0, 0.5, 0.5, 0.5], [0.0, 0.0, 0.9, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert entropy(weights_eo) == pytest.approx(math.log(3) / 3)


def test_operation_margin_is_the_gap_of_the_best_two() -> None:
    weights = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    assert operation_margin(weights) == pytest.approx((0.2 + 0.7) / 2)
    assert operation_margin(torch.ones(2, 1)) == 1, "a space can have a single operation"


def test_edge_margin_looks_at_the_second_and_third_edge_and_not_at_none() -> None:
    weights = torch.full((14, 8), 0.01, dtype=torch.double)
    weights[:, 0] = 0.9  # none must not count
    for target in DARTS.targets:
        for rank, edge in enumerate(DARTS.incoming(target)):
            weights[edge, 4] = 0.5 - 0.1 * rank
    assert edge_margin(DARTS, weights, None) == pytest.approx(0.1)
    weights[DARTS.incoming(5)[2], 4] = 0.37
    assert edge_margin(DARTS, weights, None) == pytest.approx(0.03)
    beta = torch.ones(14, dtype=torch.double)
    beta[DARTS.incoming(5)[2]] = 0.5
    assert edge_margin(DARTS, weights, beta) == pytest.approx(0.1)


def test_channel_stability_is_the_share_of_channels_kept() -> None:
    before = Selection([torch.tensor([[[0, 1], [2, 3]]]), torch.tensor([[[0, 1], [2, 3]]])])
    now = Selection([torch.tensor([[[0, 2], [2, 3]]]), torch.tensor([[[4, 5], [0, 1]]])])
    assert channel_stability(("normal", "reduction"), before, now, [8, 8]) == {"normal": 0.75, "reduction": 0.0}


def test_the_warning_begins_at_three_skips_and_says_what_to_do() -> None:
    def cells(normal: int) -> Genotype:
        return Genotype({"normal": with_skips(normal), "reduction": with_skips(8)})

    def with_skips(count: int) -> CellGenotype:
        names = ["skip_connect"] * count + ["sep_conv_3x3"] * (8 - count)
        return CellGenotype(tuple(((names[2 * n], 0), (names[2 * n + 1], 1)) for n in range(4)), (2, 3, 4, 5))

    assert collapse_warning(cells(2), DARTS) is None
    text = collapse_warning(cells(3), DARTS)
    assert text is not None and "3 skip connections" in text and "--search.epochs" in text
